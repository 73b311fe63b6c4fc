"""A model whose adapter is being trained: policy and reference forwards over preference rows, one set of weights."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from sempa.config import VARIANTS, TrainConfig
from sempa.errors import InputError
from sempa.models.adapters import fresh_adapter, save_adapter
from sempa.models.pair import ModelPair

POLICY, REFERENCE = VARIANTS[1], VARIANTS[0]


class Rows(Protocol):
    """What a forward needs of a batch; see `sempa.learning.batches.PreferenceBatch`."""

    @property
    def input_ids(self) -> Tensor:
        """Rows of token ids, (B, T)."""

    @property
    def attention_mask(self) -> Tensor:
        """Which keys a query sees: (B, T), or (B, 1, T, H + T) additive."""

    @property
    def position_ids(self) -> Tensor:
        """Each token's position, (B, T)."""

    @property
    def at(self) -> Tensor:
        """Places in the flattened (B * T) states whose logits are wanted, (P,)."""


class TuningModel:
    """Hold a base model with a fresh adapter on it: `sempa` is the policy, `base` the reference."""

    def __init__(self, pair: ModelPair, config: TrainConfig) -> None:
        """Put a fresh adapter on the pair's base model.

        Raises: InputError for float16, in which small models train to NaN, or when the pair has an adapter already.
        """
        if pair.dtype == torch.float16:
            raise InputError("Training in float16 gives NaN on small models: use --precision bfloat16 or float32.")
        if pair.variants != (REFERENCE,):
            raise InputError("Training starts from a base model without an adapter.")
        with pair.using(REFERENCE) as base:
            self.peft = fresh_adapter(
                base,
                pair.info.name,
                r=config.lora_r,
                alpha=config.lora_alpha,
                dropout=config.lora_dropout,
                seed=config.seed,
            )
        self.pair = ModelPair(self.peft, pair.tokenizer, pair.info)
        self.peft.eval()

    @property
    def trainable(self) -> dict[str, nn.Parameter]:
        """Return the adapter's parameters by name."""
        return {name: p for name, p in self.peft.named_parameters() if "lora_" in name}

    def train(self, on: bool) -> None:
        """Switch adapter dropout on for policy forwards, off for reading and reference.

        The base model's own dropout (GPT-2 and OPT have some) stays off: with it step 0 would not start at ln 2.
        """
        for name, module in self.peft.named_modules():
            if name.endswith(".lora_dropout"):
                module.train(on)

    def using(self, variant: str) -> AbstractContextManager[PreTrainedModel]:
        """Hold the model as policy or reference until the block ends."""
        return self.pair.using(variant)

    def head_states(self, model: PreTrainedModel, head: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Return the keys and values (1, heads, H, width) of every layer for the prompts' common head."""
        if not head:
            return []
        cache = DynamicCache()
        ids = torch.tensor([head], device=self.pair.device)
        with self._autocast():
            model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
        return [(layer.keys, layer.values) for layer in cache.layers]

    def shared_logits(self, model: PreTrainedModel, rows: Rows, head: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Return the (P, V) logits at `rows.at`, the LM head run there alone, behind a cached head."""
        cache = DynamicCache()
        count = rows.input_ids.shape[0]
        for index, (keys, values) in enumerate(head):
            cache.update(keys.expand(count, -1, -1, -1), values.expand(count, -1, -1, -1), index)
        with self._autocast():
            states = model.base_model(
                input_ids=rows.input_ids,
                attention_mask=rows.attention_mask,
                position_ids=rows.position_ids,
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
            return model.get_output_embeddings()(states.flatten(0, 1)[rows.at])

    def plain_logits(self, model: PreTrainedModel, rows: Rows) -> Tensor:
        """Return the (P, V) logits at `rows.at` through the model's own whole forward."""
        with self._autocast():
            out = model(input_ids=rows.input_ids, attention_mask=rows.attention_mask, use_cache=False)
            return out.logits.flatten(0, 1)[rows.at]

    def save(self, folder: Path) -> str:
        """Write the adapter as plain PEFT into a folder and return its SHA-256."""
        return save_adapter(self.peft, folder)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.pair.dtype == torch.bfloat16:
            return torch.autocast(self.pair.device.type, torch.bfloat16)
        return nullcontext()
