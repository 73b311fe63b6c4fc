"""NLI triplets as paraphrase preferences. Standard library only."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from sempa.config import TrainConfig
from sempa.data.triplets import Triplet
from sempa.errors import InputError
from sempa.templates import SentenceTemplate, tidy_sentence, tokenised_text


@dataclass(frozen=True)
class Preference:
    """What the model is shown of a triplet.

    A request to paraphrase the anchor; its K answers, best first; the embedding prompts of anchor, entailment and
    contradiction; and the anchor as plain text. Parts without use are empty. The request takes the chat template
    unless `chat` is false. `anchor` identifies triplets of one anchor, however it is shown.
    """

    request: str = ""
    responses: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    text: str = ""
    chat: bool = True
    anchor: str = ""


def preferences(triplets: Iterable[Triplet], config: TrainConfig) -> list[Preference]:
    """Turn triplets into what the model is shown under the configured objective, in order.

    The entailment is preferred to the contradiction, with a neutral sentence between them under "listwise". The
    share of tokenised text is drawn by the configured seed, for the anchor by itself and for its answers together.
    Source: Chen et al. 2026, section on semantic preference data.
    Raises: InputError if a triplet lacks the neutral sentence that the objective ranks.
    """
    asks, reads = SentenceTemplate.paraphrase(config.template), SentenceTemplate.embedding(config.embedding_template)
    drawn = random.Random(config.seed)
    shown = []
    for triplet in triplets:
        forms = [tokenised_text if drawn.random() < config.tokenised_share else str for _ in range(2)]
        anchor = forms[0](triplet.anchor)
        answers = tuple(map(forms[1], _answers(triplet, config)))
        read = (anchor, answers[0], answers[-1]) if config.reads else ()
        shown.append(
            Preference(
                asks.render(anchor) if config.prefers else "",
                answers if config.prefers else (),
                tuple(
                    reads.render(text if config.embedding_template == "plain" else tidy_sentence(text)) for text in read
                ),
                triplet.anchor if config.kl_weight else "",
                config.prompt_format == "chat",
                triplet.anchor,
            )
        )
    return shown


def _answers(triplet: Triplet, config: TrainConfig) -> tuple[str, ...]:
    if config.objective != "listwise":
        return triplet.entailment, triplet.contradiction
    if triplet.neutral is None:
        raise InputError("The objective listwise also ranks neutral sentences: give them with --neutrals.")
    return triplet.entailment, triplet.neutral, triplet.contradiction
