"""The preference score: how much more the aligned model likes one sentence as a paraphrase of another."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sempa.errors import InputError
from sempa.models.pair import BASE, SEMPA, ModelPair
from sempa.models.prompts import request_ids, response_ids
from sempa.models.score import continuation_scores
from sempa.templates import SentenceTemplate

TEMPLATE = "P1"
WEIGHT = 1.0
"""Weight of a preference score when it is added to a cosine."""


def preference(
    pair: ModelPair,
    pairs: Sequence[tuple[str, str]],
    template: str = TEMPLATE,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Score N pairs of sentences by the log-ratio of the aligned model to the base, (N,), in nats per token.

    Each sentence is the answer to a request to paraphrase the other; the score is the mean of both directions. It is
    symmetric, positive where the aligned model likes the pair better than the base does, and has no fixed range.
    `template` is one of the paraphrase templates P1 to P5, or a text with one `{sentence}`.
    `progress` receives (requests done, requests in all), first for the aligned model and then for the base.
    Source: Rafailov et al. 2023, eq. 5 (implicit reward, beta 1); Chen et al. 2026, section 4.4 (the score of DPO).
    Raises: InputError without an adapter, for an unknown template, or for a pair longer than the model's context.
    """
    asks = SentenceTemplate.paraphrase(template)
    directed = [(a, b) for first, second in pairs for a, b in ((first, second), (second, first))]
    requests = [
        (tuple(request_ids(pair.tokenizer, asks.render(asked))), tuple(response_ids(pair.tokenizer, answer)))
        for asked, answer in directed
    ]
    longest = max((len(request) + len(answer) for request, answer in requests), default=0)
    if pair.context_length and longest > pair.context_length:
        raise InputError(f"A pair has {longest:,} tokens, but the model takes {pair.context_length:,}: shorten it.")
    policy, reference = (continuation_scores(pair, variant, requests, progress) for variant in (SEMPA, BASE))
    ratios = [
        (ours[0] - theirs[0]) / len(answer)
        for ours, theirs, (_, answer) in zip(policy, reference, requests, strict=True)
    ]
    return np.asarray(ratios, np.float32).reshape(-1, 2).mean(axis=1)
