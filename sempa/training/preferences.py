"""Convert NLI triplets to paraphrase preferences. Standard library only."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from sempa.config import TrainConfig
from sempa.data.triplets import Triplet
from sempa.errors import InputError
from sempa.templates import SentenceTemplate, tidy_sentence, tokenised_text


@dataclass(frozen=True)
class Preference:
    """Hold the texts of one triplet for the model.

    These are a request to paraphrase the anchor; K answers, best first; the embedding prompts of anchor, entailment and
    contradiction; and the anchor as plain text. Unused parts are empty. The chat template applies to the request unless
    `chat` is false. `anchor` identifies triplets that share an anchor, even if its text is tokenised differently.
    """

    request: str = ""
    responses: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    text: str = ""
    chat: bool = True
    anchor: str = ""


def preferences(triplets: Iterable[Triplet], config: TrainConfig) -> list[Preference]:
    """Convert triplets to preferences for the configured objective, in order.

    The entailment ranks above the contradiction; under "listwise", a neutral sentence ranks between them. Where a
    triplet has an edit, "dpo" and "joint" rank the entailment above the edit instead, while cosines still compare with
    the contradiction. The configured seed decides which texts are tokenised: one draw for the anchor, one for its
    answers.
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
        read = (anchor, answers[0], forms[1](triplet.contradiction)) if config.contrasts else ()
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
        return triplet.entailment, triplet.edit or triplet.contradiction
    if triplet.neutral is None:
        raise InputError("The objective listwise also ranks neutral sentences: give them with --neutrals.")
    return triplet.entailment, triplet.neutral, triplet.contradiction
