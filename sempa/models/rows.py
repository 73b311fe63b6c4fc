"""Prompts with their continuations as token rows: one row per prompt under a block mask, or plain rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sempa.models.batching import right_padded


@dataclass(frozen=True)
class PairIds:
    """A prompt and its K responses as token ids; in training best first, each ending with end-of-sequence.

    A single response of one token is never fed: its place is the prompt's last state, from which embeddings are read.
    """

    prompt: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]

    def row_length(self, prefix: int) -> int:
        """Return the tokens of the shared row after `prefix` cached tokens; no response's last token is fed."""
        return len(self.prompt) - prefix + sum(len(response) - 1 for response in self.responses)


@dataclass(frozen=True)
class RowBatch:
    """Rows ready for one forward.

    input_ids (B', T) int64 with B' rows; attention_mask (B', T) int64 or, for shared rows, (B', 1, T, H + T) additive;
    position_ids (B', T); `at` (P,) indexes the flattened (B' * T) states that predict targets (P,); segments (P,)
    numbers the responses through, pair * K + candidate where all have K; `order` gives each pair's place in the step.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    at: Tensor
    targets: Tensor
    segments: Tensor
    pairs: int
    candidates: int
    order: tuple[int, ...]

    def to(self, device: torch.device) -> "RowBatch":
        """Return the batch with its tensors on a device."""
        moved: dict[str, Any] = {name: x.to(device) for name, x in vars(self).items() if isinstance(x, Tensor)}
        return replace(self, **moved)


def shared_rows(pairs: Sequence[PairIds], order: Sequence[int], prefix: int, pad: int, dtype: torch.dtype) -> RowBatch:
    """Lay each pair out as one row [prompt after the prefix, response 1, ..., response K].

    No response sees another and all start at the same position, so that every log-probability is what separate rows
    give. The `prefix` tokens are expected in the key-value cache and are visible to all.
    """
    longest = max(pair.row_length(prefix) for pair in pairs)
    rows: list[list[list[int]]] = []  # of each row: ids, positions, and blocks, 0 for the prompt and k for response k
    at: list[int] = []
    targets: list[int] = []
    segments: list[int] = []
    responses = 0
    for pair in pairs:
        prompt = len(pair.prompt)
        ids, positions, blocks = list(pair.prompt[prefix:]), list(range(prefix, prompt)), [0] * (prompt - prefix)
        for k, response in enumerate(pair.responses, 1):
            fed, first = len(response) - 1, len(rows) * longest
            at += [first + prompt - prefix - 1, *range(first + len(ids), first + len(ids) + fed)]
            ids += response[:-1]
            positions += range(prompt, prompt + fed)
            blocks += [k] * fed
            targets += response
            segments += [responses] * len(response)
            responses += 1
        missing = longest - len(ids)
        rows.append([ids + [pad] * missing, positions + [0] * missing, blocks + [-1] * missing])
    input_ids, places, numbers = torch.tensor(rows).unbind(1)
    return _row_batch(pairs, order, (input_ids, _block_mask(numbers, prefix, dtype), places), (at, targets, segments))


def _block_mask(blocks: Tensor, prefix: int, dtype: torch.dtype) -> Tensor:
    rows, length = blocks.shape
    query, key = blocks.unsqueeze(2), blocks.unsqueeze(1)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    own = torch.eye(length, dtype=torch.bool)  # a padding query needs something to look at, or softmax gives NaN
    seen = (causal & (key >= 0) & ((key == 0) | (key == query))) | own
    seen = torch.cat([torch.ones(rows, length, prefix, dtype=torch.bool), seen], dim=2)
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
    return mask.unsqueeze(1)


def plain_rows(pairs: Sequence[PairIds], order: Sequence[int], pad: int) -> RowBatch:
    """Lay each pair out as K right-padded rows [prompt, response k], which every causal model supports."""
    rows = [(pair.prompt, response) for pair in pairs for response in pair.responses]
    input_ids, mask = right_padded([(*prompt, *response[:-1]) for prompt, response in rows], pad)
    count, longest = input_ids.shape
    starts = [row * longest + len(prompt) - 1 for row, (prompt, _) in enumerate(rows)]
    at = [start + place for start, (_, response) in zip(starts, rows, strict=True) for place in range(len(response))]
    targets = [token for _, response in rows for token in response]
    segments = [row for row, (_, response) in enumerate(rows) for _ in response]
    positions = torch.arange(longest).expand(count, -1)
    return _row_batch(pairs, order, (input_ids, mask, positions), (at, targets, segments))


def _row_batch(
    pairs: Sequence[PairIds],
    order: Sequence[int],
    fed: tuple[Tensor, Tensor, Tensor],
    wanted: tuple[list[int], list[int], list[int]],
) -> RowBatch:
    """Close a batch: `fed` is ids, mask and positions; `wanted` is places, targets and segments."""
    at, targets, segments = (torch.tensor(numbers) for numbers in wanted)
    return RowBatch(*fed, at, targets, segments, len(pairs), len(pairs[0].responses), tuple(order))
