"""Linear layers whose weights are also held as the CPU's matrix library wants them, for inference.

torch reorders a weight each time it is multiplied; for the few rows of a sentence, or of a token, that is most of the
work. Weights packed once are multiplied 1.3 to 4 times as fast below a hundred rows, and no slower above.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sempa.models.fast import is_plain

_BATCH = 16
"""Rows the packing is made for; it serves any number."""
FLOAT32_UP_TO = 2**31
"""Bytes of weights up to which float32 is packed: those of half a billion numbers."""


class _PrepackedWeight:
    """Hold a packed copy of a weight and which state of the weight it is of; a copy of the module has none."""

    def __init__(self, weight: Tensor) -> None:
        self.values = _reordered(weight)
        self._state = _state(weight)

    def is_of(self, weight: Tensor) -> bool:
        """Whether the weight is still as it was packed."""
        return self._state == _state(weight)

    def __deepcopy__(self, _: dict[int, Any]) -> None:
        return None


def _reordered(weight: Tensor) -> Tensor:
    made: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), _BATCH)
    return made


def _state(weight: Tensor) -> tuple[int, int]:
    return weight.data_ptr(), weight._version


class PrepackedTerm:
    """An adapter's low-rank term of one layer, `scaling * (x A^T) B^T`, with both factors packed."""

    def __init__(self, a: Tensor, b: Tensor, scaling: float, dtype: torch.dtype) -> None:
        """Pack (r, in) and (out, r) in a number format."""
        self._a, self._b = _reordered(a.to(dtype)), _reordered((b * scaling).to(dtype))
        self._state = (_state(a), _state(b), scaling)

    def is_of(self, a: Tensor, b: Tensor, scaling: float) -> bool:
        """Whether the factors are still as they were packed."""
        return self._state == (_state(a), _state(b), scaling)

    def added(self, result: Tensor, x: Tensor) -> Tensor:
        """Return (..., out) `result` with the term of (..., in) `x` added."""
        low = torch.ops.mkldnn._linear_pointwise(x, self._a, None, "none", [], "")
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(low, result, self._b, None, "add")
        return out

    def __deepcopy__(self, _: dict[int, Any]) -> None:
        return None


class PrepackedLinear(nn.Linear):
    """A linear layer that multiplies by its packed weight wherever no gradient is asked for; see `prepack`."""

    packed: _PrepackedWeight | None
    terms: dict[str, PrepackedTerm | None]
    """Adapters' terms of this layer, by name, from when they are first asked for."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out) of (..., in)."""
        packed = self.packed
        if packed is None or x.dtype != self.weight.dtype or _learns(x) or not packed.is_of(self.weight):
            return super().forward(x)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed.values, self.bias, "none", [], "")
        return out

    def term(self, name: str, a: Tensor, b: Tensor, scaling: float, x: Tensor) -> PrepackedTerm | None:
        """Return an adapter's term to be added for `x`, None where gradients or other number formats are asked for."""
        if self.packed is None or x.dtype != self.weight.dtype or torch.is_grad_enabled():
            return None
        kept = self.terms.get(name)
        if kept is None or not kept.is_of(a, b, scaling):
            kept = self.terms[name] = PrepackedTerm(a, b, scaling, x.dtype)
        return kept


def _learns(x: Tensor) -> bool:
    return x.requires_grad and torch.is_grad_enabled()


def prepack(model: nn.Module) -> int:
    """Pack every plain linear layer on the CPU, bfloat16 or float32, and return how many; not for training.

    The packed copies, adapters' terms of these layers included, take the weights' memory once more, so in float32 they
    are made of a model of up to FLOAT32_UP_TO bytes. A weight that is changed later is multiplied as before.
    """
    formats = set() if is_plain() else _formats()
    fitting = [
        module
        for module in model.modules()
        if type(module) is nn.Linear and module.weight.dtype in formats and module.weight.device.type == "cpu"
    ]
    if sum(module.weight.nbytes for module in fitting if module.weight.dtype == torch.float32) > FLOAT32_UP_TO:
        fitting = [module for module in fitting if module.weight.dtype != torch.float32]
    for module in fitting:
        packed = _PrepackedWeight(module.weight)
        module.__class__ = PrepackedLinear
        vars(module).update(packed=packed, terms={})
    return len(fitting)


def _formats() -> set[torch.dtype]:
    """Return the number formats that this torch and this processor multiply packed."""
    if not torch.backends.mkldnn.is_available():
        return set()
    library = torch.ops.mkldnn
    names = ("_is_mkldnn_bf16_supported", "_reorder_linear_weight", "_linear_pointwise")
    if not all(hasattr(library, name) for name in names):
        return set()
    return {torch.float32, torch.bfloat16} if library._is_mkldnn_bf16_supported() else {torch.float32}
