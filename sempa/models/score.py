"""Log-probabilities of given continuations; each context is read once for all its continuations."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sempa.models.pair import ModelPair
from sempa.models.row_reader import RowReader
from sempa.models.rows import PairIds, RowBatch

Request = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a context (at least one) and of the continuation to score (at least one)."""

TOKEN_CAP = 1024
"""Tokens per forward at most, padding included."""
ROWS_AT_ONCE = 256
"""Contexts between two progress reports."""


def continuation_scores(
    pair: ModelPair, variant: str, requests: Sequence[Request], progress: Callable[[int, int], None] | None = None
) -> list[tuple[float, bool]]:
    """Return for each request the continuation's log-probability in nats, and whether greedy decoding would write it.

    `progress` receives (contexts done, contexts in all).
    """
    cap = pair.scored_tokens(TOKEN_CAP)
    rows = [
        (PairIds(requests[numbers[0]][0], tuple(requests[i][1] for i in numbers)), numbers)
        for numbers in _sharing_a_context(requests, cap)
    ]
    rows.sort(key=lambda row: len(row[0].prompt))
    scores: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
    if not rows:
        return scores
    reader = RowReader(pair, [ids for ids, _ in rows], logits=True, token_cap=cap)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        batches = reader.batches([ids for ids, _ in part])
        for batch, (logps, greedy) in zip(batches, reader.over(variant, batches, _scores), strict=True):
            numbers = [number for place in batch.order for number in part[place][1]]
            for number, logp, best in zip(numbers, logps.tolist(), greedy.tolist(), strict=True):
                scores[number] = (logp, best)
        if progress:
            progress(min(start + ROWS_AT_ONCE, len(rows)), len(rows))
    return scores


def _sharing_a_context(requests: Sequence[Request], cap: int) -> list[list[int]]:
    """Group requests with one context, as far as a row of them stays within `cap` tokens."""
    groups: list[list[int]] = []
    latest: dict[tuple[int, ...], tuple[list[int], int]] = {}
    for number, (context, continuation) in enumerate(requests):
        group, length = latest.get(context, ([], len(context)))
        if not group or length + len(continuation) > cap:
            group, length = [], len(context)
            groups.append(group)
        group.append(number)
        latest[context] = group, length + len(continuation)
    return groups


def _scores(batch: RowBatch, logits: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.float()
    chosen = logits.gather(-1, batch.targets.unsqueeze(-1)).squeeze(-1)
    logps = chosen - logits.logsumexp(dim=-1)
    missed = (chosen < logits.max(dim=-1).values).float()
    count = int(batch.segments[-1]) + 1
    zeros = torch.zeros(count, device=logits.device)
    return zeros.index_add(0, batch.segments, logps), zeros.index_add(0, batch.segments, missed) == 0
