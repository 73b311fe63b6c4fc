"""Several processes that share one piece of work, started by `accelerate launch` or `torchrun`."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Self, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather, reduce
from torch import Tensor

from sempa.errors import InputError
from sempa.models.precision import choose_device, launched_with

_Item = TypeVar("_Item")


class Processes:
    """Divide each step among processes and combine their results.

    Every process reads the same data and goes through the same steps; each step's batch is cut into consecutive parts.
    Gradients are sums over examples, so their sum over processes is the gradient of the batch, to rounding.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @classmethod
    def join(cls, device: str = "auto") -> Self:
        """Join the processes that were launched together, on the device that models are loaded on.

        Raises: what `choose_device` raises; InputError for more processes than GPUs.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        on_gpus = choose_device(device).startswith("cuda")
        if on_gpus and int(os.environ.get("LOCAL_RANK", "0")) >= torch.cuda.device_count():
            raise InputError(
                f"There are more processes than the {torch.cuda.device_count()} GPUs of this machine: launch one for "
                f"each, or use --device cpu."
            )
        state = PartialState(cpu=not on_gpus)
        return cls(state.process_index, state.num_processes)

    @property
    def shard(self) -> bool:
        """Whether the weights are sharded too: `accelerate launch --use_fsdp`."""
        return self.count > 1 and launched_with("ACCELERATE_USE_FSDP")

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    def part(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return this process's part of a step's items; parts differ by one item at most."""
        return items[self._start(self.rank, len(items)) : self._start(self.rank + 1, len(items))]

    def _start(self, rank: int, items: int) -> int:
        return rank * items // self.count

    def most(self, count: int) -> int:
        """Return the largest of the processes' counts."""
        return count if self.count == 1 else int(gather(self._tensor([count])).max())

    def sum(self, figures: dict[str, float]) -> dict[str, float]:
        """Return each figure summed over the processes; all name the same figures in the same order."""
        if self.count == 1:
            return figures
        return dict(zip(figures, reduce(self._tensor(list(figures.values())), "sum").tolist(), strict=True))

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum every parameter's gradient over the processes, in one message."""
        if self.count == 1:
            return
        parameters = list(parameters)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        together = reduce(torch.cat([gradient.flatten() for gradient in gradients]), "sum")
        for parameter, summed in zip(parameters, together.split([g.numel() for g in gradients]), strict=True):
            parameter.grad = summed.view_as(parameter)

    def gather(self, rows: Tensor, items: int) -> Tensor:
        """Return all processes' rows, (items, ...), in the order of the step's items; `rows` are this one's."""
        if self.count == 1:
            return rows
        counts = [self._start(rank + 1, items) - self._start(rank, items) for rank in range(self.count)]
        padded = rows.new_zeros(max(counts), *rows.shape[1:], device=PartialState().device)
        padded[: len(rows)] = rows
        parts = gather(padded).split(max(counts))
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def from_first(self, compute: Callable[[], float], *, together: bool) -> float:
        """Return the first process's result to all; with `together`, all compute, as sharded weights need."""
        value = compute() if self.first or together else 0.0
        return value if self.count == 1 else float(broadcast(self._tensor([value])))

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            PartialState().wait_for_everyone()

    def _tensor(self, numbers: list[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64, device=PartialState().device)
