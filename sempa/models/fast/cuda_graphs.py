"""CUDA graphs for passes of a small model on a GPU, whose time goes into launching kernels, not computing."""

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

MOST = 16
"""Graphs kept at a time; each holds its inputs and outputs, and all share the memory in between."""
ROW_STEP, PLACE_STEP = 32, 512
"""Tokens of a row, and places read, are padded to multiples of these, so that shapes recur."""

Call = Callable[..., tuple[Tensor, ...]]


class Recording:
    """One function of tensors as a CUDA graph, with the tensors its inputs are copied to."""

    def __init__(self, function: Call, inputs: Sequence[Tensor], pool: Any) -> None:
        """Record the function for these shapes, without computing it.

        Raises: RuntimeError if it does what a graph cannot hold, such as waiting for a result.
        """
        self._inputs = [x.clone() for x in inputs]
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile, as the app does.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._outputs = function(*self._inputs)

    def replay(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the function's outputs for these inputs and the present weights."""
        for place, x in zip(self._inputs, inputs, strict=True):
            place.copy_(x)
        self._graph.replay()
        # Recordings share memory: the next replay may write where these outputs lie.
        return tuple(x.clone() for x in self._outputs)


class CudaGraphs:
    """Call functions of tensors; record those that recur in the same shapes and replay them from then on."""

    def __init__(self) -> None:
        self._recorded: dict[Hashable, Recording | None] = {}
        self._pool: Any = None
        self._possible = True

    def call(self, name: Hashable, function: Call, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return `function(*inputs)`; one name must mean one function.

        The first call in a shape is computed directly, which loads the kernels that recording needs.
        """
        if not self._possible:
            return function(*inputs)
        key = (name, *((x.shape, x.dtype) for x in inputs))
        recording = self._recorded.get(key)
        try:
            if recording:
                return recording.replay(inputs)
            if key not in self._recorded:
                results = function(*inputs)
                if len(self._recorded) < MOST:
                    self._recorded[key] = None
                return results
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            self._recorded[key] = recording = Recording(function, inputs, self._pool)
            return recording.replay(inputs)
        except RuntimeError as error:  # out of memory is one, and recordings hold much of it
            if not any(self._recorded.values()) and key not in self._recorded:
                raise
            reason = str(error).partition("\n")[0]
        del recording
        self._possible, self._pool = False, None
        self._recorded.clear()
        torch.cuda.empty_cache()
        log.info("CUDA graphs cannot be used (%s): passes launch kernel by kernel.", reason)
        return function(*inputs)
