"""A model whose adapter is being trained: policy and reference are one set of weights, adapter on and off."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from sempa.config import VARIANTS, TrainConfig
from sempa.errors import InputError
from sempa.models.adapters import ADAPTER_NAME, fresh_adapter, save_adapter
from sempa.models.fast.fused_lora import fuse
from sempa.models.pair import ModelPair

POLICY, REFERENCE = VARIANTS[1], VARIANTS[0]

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class PolicyModel:
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
        fuse(self.peft, ADAPTER_NAME)
        self.pair = ModelPair(self.peft, pair.tokenizer, pair.info)
        self.peft.eval()
        for module in self.peft.modules():
            if hasattr(getattr(module, "weight", None), "quant_state"):
                # In evaluation mode bitsandbytes repacks weights on the CPU, and the gradient through them is wrong.
                module.training = True
        # Dropout draws from one generator: who draws first must not be left to chance.
        self._in_turn = config.lora_dropout > 0
        # Walking the modules of a small model takes longer than one of its layers.
        dropouts = [module for name, module in self.peft.named_modules() if name.endswith(".lora_dropout")]
        self._dropouts = dropouts if self._in_turn else []

    @property
    def sharded(self) -> bool:
        """Whether the base's weights are shared out over processes, which must then all compute equally often."""
        return self.pair.info.sharded

    @cached_property
    def trainable(self) -> dict[str, nn.Parameter]:
        """Return the adapter's parameters by name."""
        return {name: p for name, p in self.peft.named_parameters() if "lora_" in name}

    def train(self, on: bool) -> None:
        """Switch adapter dropout on for policy forwards, off for reading and reference.

        The base model's own dropout (GPT-2 and OPT have some) stays off: with it step 0 would not start at ln 2.
        """
        for module in self._dropouts:
            module.train(on)

    @property
    def random_state(self) -> torch.Tensor:
        """Return the state of the random numbers that dropout draws, those of the weights' device."""
        device = self.pair.device
        return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()

    def draw_from(self, state: torch.Tensor) -> None:
        """Let dropout draw on from a state; its tensor is on the CPU."""
        device = self.pair.device
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)

    def map(self, call: Callable[[_In], _Out], items: Sequence[_In]) -> Iterator[_Out]:
        """Yield `call(item)` in the items' order, on the pair's workers; in turn where the adapter has dropout."""
        return map(call, items) if self._in_turn else self.pair.workers.map(call, items)

    def save(self, folder: Path) -> str:
        """Write the adapter as plain PEFT into a folder and return its SHA-256."""
        return save_adapter(self.peft, folder)
