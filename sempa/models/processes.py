"""Several processes sharing one piece of work, as `accelerate launch` or `torchrun` start them; alone, nothing."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Self, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from sempa.errors import InputError
from sempa.models.precision import choose_device, launched_with

_Item = TypeVar("_Item")


class Processes:
    """Say which part of a step is this process's, and add up what all of them found.

    Every process reads the same data and walks through the same steps; a step's batch is cut into consecutive parts.
    Gradients are sums over examples, so the sum over processes is the whole batch's gradient, to rounding.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @classmethod
    def join(cls, device: str = "auto") -> Self:
        """Join the processes that were launched together, on the device that models are loaded on.

        Alone when there are no others. Raises: what `choose_device` raises, and InputError for more processes on one
        machine than it has GPUs.
        """
        if not dist.is_initialized():
            if int(os.environ.get("WORLD_SIZE", "1")) < 2:
                return cls()
            on_gpus = choose_device(device).startswith("cuda")
            if on_gpus:
                own = int(os.environ.get("LOCAL_RANK", "0"))
                if own >= torch.cuda.device_count():
                    raise InputError(
                        f"There are more processes than the {torch.cuda.device_count()} GPUs of this machine: launch "
                        f"one for each, or use --device cpu."
                    )
                torch.cuda.set_device(own)
            dist.init_process_group("nccl" if on_gpus else "gloo")
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def shard(self) -> bool:
        """Whether they were asked to share out the weights too: `accelerate launch --use_fsdp`."""
        return self.count > 1 and launched_with("ACCELERATE_USE_FSDP")

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def part(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return this process's part of a step's items; parts differ by one item at most."""
        return items[self._start(self.rank, len(items)) : self._start(self.rank + 1, len(items))]

    def _start(self, rank: int, items: int) -> int:
        return rank * items // self.count

    def most(self, count: int) -> int:
        """Return the largest of the processes' counts."""
        if self.count == 1:
            return count
        held = torch.tensor(count, device=self._device)
        dist.all_reduce(held, dist.ReduceOp.MAX)
        return int(held)

    def sum(self, figures: dict[str, float]) -> dict[str, float]:
        """Return each figure summed over the processes; all of them name the same ones in the same order."""
        if self.count == 1:
            return figures
        totals = torch.tensor(list(figures.values()), dtype=torch.float64, device=self._device)
        dist.all_reduce(totals)
        return dict(zip(figures, totals.tolist(), strict=True))

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum every parameter's gradient over the processes, in place and in one message."""
        if self.count == 1:
            return
        parameters = list(parameters)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(together)
        for parameter, summed in zip(parameters, together.split([g.numel() for g in gradients]), strict=True):
            parameter.grad = summed.view_as(parameter)

    def gather(self, rows: Tensor, items: int) -> Tensor:
        """Return all processes' rows, (items, ...), in the order of the step's items; this one's are its part's."""
        if self.count == 1:
            return rows
        padded, counts = self._even(rows, items)
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def collect(self, rows: Tensor, items: int) -> Tensor | None:
        """Return all processes' rows, (items, ...), in the order of the items to the first; None to the others."""
        if self.count == 1:
            return rows
        padded, counts = self._even(rows, items)
        parts = [torch.empty_like(padded) for _ in counts] if self.first else None
        dist.gather(padded, parts)
        return torch.cat([part[:n].cpu() for part, n in zip(parts, counts, strict=True)]) if parts else None

    def _even(self, rows: Tensor, items: int) -> tuple[Tensor, list[int]]:
        """Return this process's rows with zeros added so that all processes have as many, and how many each has."""
        counts = [self._start(rank + 1, items) - self._start(rank, items) for rank in range(self.count)]
        padded = rows.new_zeros(max(counts), *rows.shape[1:], device=self._device)
        padded[: len(rows)] = rows
        return padded, counts

    def from_first(self, compute: Callable[[], float], *, together: bool) -> float:
        """Return to all processes what the first computes; `together` all compute, as weights shared out need."""
        value = compute() if self.first or together else 0.0
        if self.count == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64, device=self._device)
        dist.broadcast(held, 0)
        return float(held)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            dist.barrier()

    @property
    def _device(self) -> str:
        return "cuda" if dist.get_backend() == "nccl" else "cpu"
