"""Linear layers that also hold their weights in the layout of the CPU's matrix library, for inference.

torch reorders a weight at every multiplication; for the few rows of a sentence or a token, that is most of the work.
Prepacked weights multiply 1.3 to 4 times as fast below a hundred rows, and no slower above.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sempa.models.fast import is_plain

_BATCH = 16
"""Rows the layout is optimised for; it works for any number."""
FLOAT32_UP_TO = 2**31
"""Bytes of weights up to which float32 is prepacked: half a billion numbers."""


class _Prepacked:
    """Reordered copies of weights, and the state that tells whether the weights have changed since."""

    def __init__(self, weights: Sequence[Tensor], state: Hashable) -> None:
        self.copies = [torch.ops.mkldnn._reorder_linear_weight(weight.detach(), _BATCH) for weight in weights]
        self.state = state

    def __deepcopy__(self, _: dict[int, Any]) -> None:
        """Give a copy of the layer none, so that it can be saved."""


class PrepackedTerm(_Prepacked):
    """An adapter's low-rank product in one layer, `scaling * (x A^T) B^T`, with both factors prepacked."""

    def added(self, result: Tensor, x: Tensor) -> Tensor:
        """Return (..., out) `result` with the term of (..., in) `x` added."""
        a, b = self.copies
        low = torch.ops.mkldnn._linear_pointwise(x, a, None, "none", [], "")
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(low, result, b, None, "add")
        return out


def _state(weight: Tensor) -> tuple[int, int]:
    return weight.data_ptr(), weight._version


class PrepackedLinear(nn.Linear):
    """A linear layer that multiplies by its packed weight when no gradient is needed; see `prepack`."""

    packed: _Prepacked | None
    terms: dict[str, PrepackedTerm | None]
    """Adapters' products of this layer, by name, made on first use."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out) of (..., in)."""
        packed = self.packed
        learns = x.requires_grad and torch.is_grad_enabled()
        if packed is None or x.dtype != self.weight.dtype or learns or packed.state != _state(self.weight):
            return super().forward(x)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, *packed.copies, self.bias, "none", [], "")
        return out

    def term(self, name: str, a: Tensor, b: Tensor, scaling: float, x: Tensor) -> PrepackedTerm | None:
        """Return an adapter's product to add for `x`, or None when gradients or other number formats are needed."""
        if self.packed is None or x.dtype != self.weight.dtype or torch.is_grad_enabled():
            return None
        state, kept = (_state(a), _state(b), scaling), self.terms.get(name)
        if kept is None or kept.state != state:
            kept = self.terms[name] = PrepackedTerm([a.to(x.dtype), (b * scaling).to(x.dtype)], state)
        return kept


def prepack(model: nn.Module) -> int:
    """Prepack every plain linear layer on the CPU, bfloat16 or float32, and return how many; not for training.

    The copies double the weights' memory, so float32 is prepacked for models of up to FLOAT32_UP_TO bytes. A weight
    that changes later is multiplied as before.
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
        packed = _Prepacked([module.weight], _state(module.weight))
        module.__class__ = PrepackedLinear
        vars(module).update(packed=packed, terms={})
    return len(fitting)


def _formats() -> set[torch.dtype]:
    """Return the number formats that this torch and this processor can prepack."""
    library = torch.ops.mkldnn
    names = ("_is_mkldnn_bf16_supported", "_reorder_linear_weight", "_linear_pointwise")
    if not (torch.backends.mkldnn.is_available() and all(hasattr(library, name) for name in names)):
        return set()
    return {torch.float32, torch.bfloat16} if library._is_mkldnn_bf16_supported() else {torch.float32}
