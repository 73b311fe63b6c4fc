"""Prompts with their continuations as token rows: one row per prompt under a block mask, or plain rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


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
    Padding places have the segment after the last response's.
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

    @property
    def is_real(self) -> Tensor:
        """Return (P,) bool: which places are not padding."""
        return self.segments < self.pairs * self.candidates

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Return the batch's tensors, in the order of its fields."""
        return tuple(value for value in vars(self).values() if isinstance(value, Tensor))

    def holding(self, tensors: Sequence[Tensor]) -> "RowBatch":
        """Return the batch with other tensors in place of its own."""
        names = [name for name, value in vars(self).items() if isinstance(value, Tensor)]
        return RowBatch(**{**vars(self), **dict(zip(names, tensors, strict=True))})

    def to(self, device: torch.device) -> "RowBatch":
        """Return the batch with its tensors on a device."""
        return self.holding([value.to(device) for value in self.tensors])


def shared_rows(
    pairs: Sequence[PairIds],
    order: Sequence[int],
    prefix: int,
    pad: int,
    dtype: torch.dtype,
    steps: tuple[int, int] = (1, 1),
) -> RowBatch:
    """Lay each pair out as one row [prompt after the prefix, response 1, ..., response K].

    No response sees another and all start at the same position, so that every log-probability is what separate rows
    give. The `prefix` tokens are expected in the key-value cache and are visible to all. T and P are padded to
    multiples of `steps`.
    """
    longest = max(pair.row_length(prefix) for pair in pairs)
    longest += -longest % steps[0]
    input_ids = torch.full((len(pairs), longest), pad, dtype=torch.int64)
    positions = torch.zeros_like(input_ids)
    blocks = torch.full_like(input_ids, -1)  # -1 padding, 0 prompt, k response k
    at: list[int] = []
    targets: list[int] = []
    segments: list[int] = []
    responses = 0
    for row, pair in enumerate(pairs):
        prompt = len(pair.prompt) - prefix
        input_ids[row, :prompt] = torch.tensor(pair.prompt[prefix:])
        positions[row, :prompt] = torch.arange(prefix, len(pair.prompt))
        blocks[row, :prompt] = 0
        start = prompt
        for k, response in enumerate(pair.responses):
            end = start + len(response) - 1
            input_ids[row, start:end] = torch.tensor(response[:-1], dtype=torch.int64)
            positions[row, start:end] = torch.arange(len(pair.prompt), len(pair.prompt) + end - start)
            blocks[row, start:end] = k + 1
            at += [row * longest + place for place in (prompt - 1, *range(start, end))]
            targets += response
            segments += [responses + k] * len(response)
            start = end
        responses += len(pair.responses)
    missing = -len(at) % steps[1]
    at, targets, segments = at + [0] * missing, targets + [0] * missing, segments + [responses] * missing
    return _row_batch(pairs, order, (input_ids, _block_mask(blocks, prefix, dtype), positions), (at, targets, segments))


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
    """Lay each pair out as K right-padded rows [prompt, response k]: what every causal model can read."""
    rows = [(pair.prompt, response) for pair in pairs for response in pair.responses]
    longest = max(len(prompt) + len(response) for prompt, response in rows) - 1
    input_ids = torch.full((len(rows), longest), pad, dtype=torch.int64)
    mask = torch.zeros_like(input_ids)
    at: list[int] = []
    targets: list[int] = []
    segments: list[int] = []
    for row, (prompt, response) in enumerate(rows):
        fed = torch.tensor((*prompt, *response[:-1]))
        input_ids[row, : len(fed)] = fed
        mask[row, : len(fed)] = 1
        at += range(row * longest + len(prompt) - 1, row * longest + len(fed))
        targets += response
        segments += [row] * len(response)
    positions = torch.arange(longest).expand(len(rows), -1)
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
