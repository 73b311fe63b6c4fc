"""The model in training: policy and reference are one set of weights, with the adapter on and off."""

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
from sempa.models.adapters import ADAPTER_NAME, fresh_adapter, save_adapter
from sempa.models.fast.fused_lora import fuse
from sempa.models.pair import ModelPair
from sempa.models.prefix_cache import PrefixCache
from sempa.models.processes import Processes
from sempa.models.row_reader import RowReader
from sempa.models.rows import PairIds, RowBatch

POLICY, REFERENCE = VARIANTS[1], VARIANTS[0]


class PolicyModel:
    """A base model with a fresh adapter: `sempa` is the policy, `base` the reference."""

    def __init__(self, pair: ModelPair, config: TrainConfig, processes: Processes | None = None) -> None:
        """Put a fresh adapter on the pair's base model; `processes` share each step (default: this one alone).

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
        self.processes = processes or Processes()
        self.pair = ModelPair(self.peft, pair.tokenizer, pair.info)
        self.peft.eval()
        for module in self.peft.modules():
            if hasattr(getattr(module, "weight", None), "quant_state"):
                # In evaluation mode bitsandbytes repacks weights on the CPU, and the gradient through them is wrong.
                module.training = True
        self.in_turn = config.lora_dropout > 0
        """Whether batches must go one after the other: dropout draws from one generator."""
        # Walking the modules of a small model takes longer than one of its layers.
        dropouts = [module for name, module in self.peft.named_modules() if name.endswith(".lora_dropout")]
        self._dropouts = dropouts if self.in_turn else []

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

    def save(self, folder: Path) -> str:
        """Write the adapter as plain PEFT into a folder and return its SHA-256."""
        return save_adapter(self.peft, folder)


@dataclass(frozen=True)
class Policy:
    """The model as policy, its prompt's prefix, and every leaf that gradients flow into."""

    model: Any
    prefix: PrefixCache
    leaves: list[Tensor]

    def gradients(self, output: Tensor, into: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the gradients of a micro-batch's output; several threads may do so at once."""
        return torch.autograd.grad(output, self.leaves, into)

    def add(self, gradients: Sequence[Tensor]) -> None:
        """Add a micro-batch's gradients to the leaves; called in order, so that a run's sums repeat to the bit."""
        for leaf, gradient in zip(self.leaves, gradients, strict=True):
            leaf.grad = gradient if leaf.grad is None else leaf.grad.add_(gradient)


@contextmanager
def as_policy(model: PolicyModel, reader: RowReader) -> Iterator[Policy]:
    """Use the model as policy, with adapter dropout and this step's prefix.

    The prefix is a leaf for the micro-batches: their gradients into it are summed and sent back once, at the end.
    """
    model.train(True)
    try:
        with model.pair.using(POLICY) as policy:
            prefix = reader.prefix(policy)
            leaves = [(keys.detach().requires_grad_(), values.detach().requires_grad_()) for keys, values in prefix]
            yield Policy(policy, leaves, [*model.trainable.values(), *(state for layer in leaves for state in layer)])
            if prefix and leaves[0][0].grad is not None:  # no gradient where this process's part is empty
                states = [state for layer in prefix for state in layer]
                torch.autograd.backward(states, [state.grad for layer in leaves for state in layer])
    finally:
        model.train(False)


def row_reader(
    model: PolicyModel, prompts: Sequence[PairIds], config: TrainConfig, *, logits: bool, rows: int | None = None
) -> RowReader:
    """Return a reader of such prompts as configured, `rows` of them per step."""
    return RowReader(
        model.pair,
        prompts,
        logits=logits,
        token_cap=config.token_cap,
        shared=config.shared_rows and not model.sharded,
        rows=rows,
        # A recorded pass could not draw the same dropout again when sentences are read twice.
        cuda_graphs=rows is not None and not config.lora_dropout,
    )


class PolicyPass:
    """Read one step's rows through the policy in micro-batches; the part that all loss terms share."""

    def __init__(
        self, model: PolicyModel, prompts: Sequence[PairIds], config: TrainConfig, *, logits: bool, rows: int
    ) -> None:
        """Take the model and, to lay out rows, prompts like those to come; `rows` of them make a step."""
        self.reader = row_reader(model, prompts, config, logits=logits, rows=rows)
        self._model, self._config, self._processes = model, config, model.processes

    def _batches(self, own: Sequence[PairIds], spare: PairIds) -> tuple[list[RowBatch], int]:
        """Return batches of this process's rows, and how many they are.

        Processes that share out the weights must compute equally often: behind these, batches to be dropped fill up.
        """
        batches = self.reader.batches(own)
        count = len(batches)
        if self._model.sharded:
            batches += [(batches or self.reader.batches([spare]))[0]] * (self._processes.most(count) - count)
        return batches, count
