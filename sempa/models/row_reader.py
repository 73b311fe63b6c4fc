"""Read token rows with a model: logits or states at chosen places, after a cached prompt prefix."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import starmap
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from sempa.models.batching import length_batches
from sempa.models.pair import BASE, ModelPair
from sempa.models.prefix_cache import REFUSALS, PrefixCache, agreement, common_prefix, expand_prefix, read_prefix
from sempa.models.prompts import padding_id
from sempa.models.rows import PairIds, RowBatch, plain_rows, shared_rows


class RowReader:
    """Read prompts and their continuations, after a shared prefix if the model supports it, else as plain rows."""

    def __init__(
        self,
        pair: ModelPair,
        prompts: Sequence[PairIds],
        *,
        logits: bool,
        token_cap: int | None,
        rows: int | None = None,
    ) -> None:
        """Prepare for rows like `prompts`: with `logits` (P, V) logits are read, else (P, D) states.

        `token_cap` bounds the tokens per forward; None suits the device. `rows` is how many rows share one prefix;
        None: many.
        """
        fitting = pair.scored_tokens(pair.forward_tokens) if logits else pair.forward_tokens
        self.pair, self.token_cap, self._logits = pair, token_cap or fitting, logits
        self._pad = padding_id(pair.tokenizer)
        self.prefix_ids = common_prefix([row.prompt for row in prompts])
        """The token ids of the prefix, none for plain rows."""
        if rows is not None and pair.is_launch_bound(rows * len(self.prefix_ids)):
            self.prefix_ids = ()  # a pass for the prefix would take longer than it saves
        self._base_prefix: PrefixCache | None = None
        self.shared = not pair.info.sharded and self._within_window(prompts) and self._shared_rows_agree(prompts[0])
        if not self.shared:
            self.prefix_ids = ()

    def each(
        self,
        function: Callable[..., tuple[Tensor, ...]],
        items: Sequence[tuple[Any, ...]],
        *,
        in_turn: bool = False,
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield `function(*item)` for each item in order, on the pair's workers unless `in_turn`."""
        return starmap(function, items) if in_turn else self.pair.workers.map(lambda item: function(*item), items)

    @property
    def layout(self) -> str:
        """Name the row layout in use, for logs and tests."""
        if self.shared:
            unit = "pair" if self._logits else "sentence"
            return f"one row per {unit} after a shared prefix of {len(self.prefix_ids)} tokens"
        return f"plain rows, one per {'response' if self._logits else 'sentence'}"

    def batches(self, prompts: Sequence[PairIds]) -> list[RowBatch]:
        """Return the prompts as batches within the token cap, rows of similar length together."""
        if self.shared:
            lengths = [pair.row_length(len(self.prefix_ids)) for pair in prompts]
        else:
            lengths = [(len(pair.prompt) + max(map(len, pair.responses))) * len(pair.responses) for pair in prompts]
        groups = length_batches(lengths, self.token_cap)
        return [self._batch([prompts[i] for i in group], group, self.shared) for group in groups]

    def over(
        self, variant: str, batches: Sequence[RowBatch], reduce: Callable[[RowBatch, Tensor], tuple[Tensor, ...]]
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield `reduce(batch, logits or states)` for each batch in order, without gradient."""
        with self.pair.using(variant) as model:
            with torch.no_grad():
                # The base never changes, so its prefix is computed once.
                prefix = self._base_prefix if variant == BASE else None
                prefix = self.prefix(model) if prefix is None else prefix
            if variant == BASE:
                self._base_prefix = prefix

            def read(batch: RowBatch) -> tuple[Tensor, ...]:
                with torch.no_grad():
                    return reduce(batch, self.read(model, batch, prefix))

            yield from self.pair.workers.map(read, batches)

    def prefix(self, model: PreTrainedModel) -> PrefixCache:
        """Return the shared prefix's keys and values; empty without a prefix or for plain rows."""
        with self._autocast():
            return read_prefix(model, self.prefix_ids)

    def read(self, model: PreTrainedModel, batch: RowBatch, prefix: PrefixCache) -> Tensor:
        """Return (P, V) logits or (P, D) states at the batch's places, gradients allowed."""
        return self._shared(model, batch, prefix) if self.shared else self._plain(model, batch)

    def _shared(self, model: PreTrainedModel, batch: RowBatch, prefix: PrefixCache) -> Tensor:
        with self._autocast():
            states = model.base_model(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                position_ids=batch.position_ids,
                cache=expand_prefix(prefix, batch.input_ids.shape[0]) if prefix else None,
                use_cache=bool(prefix),
            ).last_hidden_state.flatten(0, 1)[batch.at]
            return model.get_output_embeddings()(states) if self._logits else states

    def _plain(self, model: PreTrainedModel, batch: RowBatch) -> Tensor:
        options = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "use_cache": False}
        with self._autocast():
            out = model(**options).logits if self._logits else model.base_model(**options).last_hidden_state
        return out.flatten(0, 1)[batch.at]

    def _batch(self, prompts: Sequence[PairIds], order: Sequence[int], shared: bool) -> RowBatch:
        if shared:
            batch = shared_rows(prompts, order, len(self.prefix_ids), self._pad, self.pair.dtype)
        else:
            batch = plain_rows(prompts, order, self._pad)
        return batch.to(self.pair.device)

    def _within_window(self, prompts: Sequence[PairIds]) -> bool:
        """Return whether every token sees all before it in layers with a sliding window, which the block mask lacks."""
        longest = max(len(row.prompt) + max(map(len, row.responses)) for row in prompts)
        return longest <= (self.pair.sliding_window or longest)

    def _shared_rows_agree(self, prompt: PairIds) -> bool:
        """Measure on one prompt whether the block mask and the cached prefix give what plain rows give."""
        plain, shared = (self._batch([prompt], [0], layout) for layout in (False, True))
        with torch.no_grad(), self.pair.using(BASE) as base:
            try:
                expected = self._plain(base, plain)
                found = self._shared(base, shared, self.prefix(base))
            except REFUSALS:
                return False
        share = agreement(self.pair.dtype)
        if not self._logits:
            return bool((expected - found).abs().max() < share * expected.abs().max())
        logps = [torch.log_softmax(x.float(), -1).gather(-1, plain.targets.unsqueeze(-1)) for x in (expected, found)]
        return bool((logps[0] - logps[1]).sum().abs() < share * len(plain.targets))

    def _autocast(self) -> AbstractContextManager[object]:
        if self.pair.dtype == torch.bfloat16:
            return torch.autocast(self.pair.device.type, torch.bfloat16)
        return nullcontext()
