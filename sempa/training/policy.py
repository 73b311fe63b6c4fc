"""The model in training: one set of weights is the policy with the adapter on, the reference with it off."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sempa.config import VARIANTS, TrainConfig
from sempa.errors import InputError
from sempa.models.adapters import ADAPTER_NAME, fresh_adapter, save_adapter, trainable_adapter
from sempa.models.fast.fused_lora import fuse
from sempa.models.pair import ModelPair
from sempa.models.prefix_cache import PrefixCache
from sempa.models.processes import Processes
from sempa.models.row_reader import RowReader
from sempa.models.rows import PairIds, RowBatch

POLICY, REFERENCE = VARIANTS[1], VARIANTS[0]


class PolicyModel:
    """A base model with an adapter in training: `sempa` is the policy, `base` the reference."""

    def __init__(
        self,
        pair: ModelPair,
        config: TrainConfig,
        processes: Processes | None = None,
        adapter: str | None = None,
    ) -> None:
        """Add a fresh adapter, or `adapter`, to the pair's base model.

        `processes` share each step (default: this process alone). An adapter keeps its own rank, alpha and dropout.

        Raises: InputError for float16, in which small models diverge to NaN, or if the pair already has an adapter.
        """
        if pair.dtype == torch.float16:
            raise InputError("Training in float16 gives NaN on small models: use --precision bfloat16 or float32.")
        if pair.variants != (REFERENCE,):
            raise InputError("Training starts from a base model without an adapter.")
        with pair.using(REFERENCE) as base:
            self.peft = (
                trainable_adapter(base, adapter, pair.info.name)
                if adapter
                else fresh_adapter(
                    base,
                    pair.info.name,
                    r=config.lora_r,
                    alpha=config.lora_alpha,
                    dropout=config.lora_dropout,
                    seed=config.seed,
                )
            )
        fuse(self.peft, ADAPTER_NAME)
        self.processes = processes or Processes()
        self.pair = ModelPair(self.peft, pair.tokenizer, pair.info)
        self.peft.eval()
        for module in self.peft.modules():
            if hasattr(getattr(module, "weight", None), "quant_state"):
                # In evaluation mode, bitsandbytes repacks weights on the CPU, which makes gradients wrong.
                module.training = True
        self.in_turn = config.lora_dropout > 0
        """Whether batches must run in sequence: dropout draws from one generator."""
        # Found once: walking a small model's modules takes longer than running one of its layers.
        dropouts = [module for name, module in self.peft.named_modules() if name.endswith(".lora_dropout")]
        self._dropouts = dropouts if self.in_turn else []

    @property
    def sharded(self) -> bool:
        """Whether the base's weights are sharded over processes, which must then run the same number of forwards."""
        return self.pair.info.sharded

    @cached_property
    def trainable(self) -> dict[str, nn.Parameter]:
        """Return the adapter's parameters by name."""
        return {name: p for name, p in self.peft.named_parameters() if "lora_" in name}

    def train(self, on: bool) -> None:
        """Switch adapter dropout on for policy forwards and off for encoding and reference forwards.

        The base model's own dropout, as in GPT-2 and OPT, stays off; otherwise the loss would not start at ln 2.
        """
        for module in self._dropouts:
            module.train(on)

    @property
    def random_state(self) -> torch.Tensor:
        """Return the state of dropout's random generator, that of the weights' device."""
        device = self.pair.device
        return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()

    def draw_from(self, state: torch.Tensor) -> None:
        """Restore the state of dropout's random generator from a CPU tensor."""
        device = self.pair.device
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)

    def save(self, folder: Path) -> str:
        """Write the adapter to a folder in PEFT's format and return its SHA-256."""
        return save_adapter(self.peft, folder)


@dataclass(frozen=True)
class Policy:
    """Hold the model as policy, its cached prefix, and every leaf that receives gradients."""

    model: Any
    prefix: PrefixCache
    leaves: list[Tensor]

    def gradients(self, output: Tensor, into: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the gradients of a micro-batch's output; safe to call from several threads."""
        return torch.autograd.grad(output, self.leaves, into)

    def add(self, gradients: Sequence[Tensor]) -> None:
        """Add a micro-batch's gradients to the leaves; call in batch order to keep sums reproducible to the bit."""
        for leaf, gradient in zip(self.leaves, gradients, strict=True):
            leaf.grad = gradient if leaf.grad is None else leaf.grad.add_(gradient)


@contextmanager
def as_policy(model: PolicyModel, reader: RowReader) -> Iterator[Policy]:
    """Use the model as policy, with adapter dropout and this step's prefix.

    The prefix is a leaf: micro-batches add their gradients to it, and one backward pass at the end propagates the sum.
    """
    model.train(True)
    try:
        with model.pair.using(POLICY) as policy:
            prefix = reader.prefix(policy)
            leaves = [(keys.detach().requires_grad_(), values.detach().requires_grad_()) for keys, values in prefix]
            yield Policy(policy, leaves, [*model.trainable.values(), *(state for layer in leaves for state in layer)])
            if prefix and leaves[0][0].grad is not None:  # None if this process has no rows
                states = [state for layer in prefix for state in layer]
                torch.autograd.backward(states, [state.grad for layer in leaves for state in layer])
    finally:
        model.train(False)


class PolicyPass:
    """Run one step's rows through the policy in micro-batches; the base of all loss terms."""

    def __init__(
        self, model: PolicyModel, prompts: Sequence[PairIds], config: TrainConfig, *, logits: bool, rows: int
    ) -> None:
        """Take the model, sample prompts that determine the row layout, and the number of rows per step."""
        self.reader = RowReader(model.pair, prompts, logits=logits, token_cap=config.token_cap, rows=rows)
        self._model, self._config, self._processes = model, config, model.processes

    def _batches(self, own: Sequence[PairIds], spare: PairIds) -> tuple[list[RowBatch], int]:
        """Return batches of this process's rows, and how many of the batches count.

        Processes with sharded weights must run the same number of forwards, so batches to be discarded are appended.
        """
        batches = self.reader.batches(own)
        count = len(batches)
        if self._model.sharded:
            batches += [(batches or self.reader.batches([spare]))[0]] * (self._processes.most(count) - count)
        return batches, count
