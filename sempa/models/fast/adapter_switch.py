"""Adapters switched on and off, for all rows of a batch or for some, without PEFT's walk over every module.

PEFT's `disable_adapter` visits every weight each time: 33 ms on the default model and two cores, nearly as long as
reading a sentence. Its `adapter_names` hooks every module at every forward, which nearly doubles the time of a token.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from peft import PeftModel
from peft.tuners.lora import Linear, LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper
from torch import Tensor

from sempa.errors import AdapterMismatch
from sempa.models.fast import is_plain
from sempa.models.fast.prepacked import PrepackedLinear


class AdapterSwitch:
    """Switch a model's adapters by replacing the forwards of its LoRA layers; by PEFT's own means for other kinds."""

    def __init__(self, tuned: PeftModel) -> None:
        self._tuned = tuned
        self.find_layers()

    def find_layers(self) -> None:
        """List the layers to switch; call it again after adding an adapter, which may act on further layers."""
        modules = list(self._tuned.modules())
        self._layers = [module for module in modules if isinstance(module, BaseTunerLayer)]
        lora_alone = bool(self._layers) and all(isinstance(layer, LoraLayer) for layer in self._layers)
        retrained = any(isinstance(module, AuxiliaryTrainingWrapper) for module in modules)
        self._replaces = lora_alone and not retrained and not is_plain()
        self.mixes = self._replaces and all(_adds_one_product(layer) for layer in self._layers)
        """Whether base and adapter can compute side by side without PEFT's hooks."""

    def off(self) -> AbstractContextManager[None]:
        """Run the base model alone until the block ends."""
        return self._forwards(lambda layer: layer.base_layer) if self._replaces else self._tuned.disable_adapter()

    def on(self, adapter_name: str) -> AbstractContextManager[None]:
        """Apply one adapter, which is the active one, to all rows until the block ends."""
        if not self.mixes:
            return nullcontext()
        return self._forwards(lambda layer: partial(_on_rows, layer, adapter_name, slice(None)))

    @contextmanager
    def mixed(self, adapter_name: str, tuned: Sequence[bool]) -> Iterator[dict[str, object]]:
        """Apply one adapter to the rows marked in `tuned`; yields the arguments to add to PeftModel's forward."""
        if not self.mixes:
            yield {"adapter_names": [adapter_name if on else "__base__" for on in tuned]}
            return
        numbers = [number for number, on in enumerate(tuned) if on]
        span = slice(numbers[0], numbers[-1] + 1)
        rows = span if span.stop - span.start == len(numbers) else numbers
        with self._forwards(lambda layer: partial(_on_some, layer, adapter_name, rows, len(tuned))):
            yield {}

    @contextmanager
    def _forwards(self, forward: Callable[[LoraLayer], Callable[[Tensor], Tensor]]) -> Iterator[None]:
        """Replace each layer's forward by `forward(layer)` until the block ends; blocks may be nested."""
        before = [vars(layer).get("forward") for layer in self._layers]
        try:
            for layer in self._layers:
                vars(layer)["forward"] = forward(layer)
            yield
        finally:
            for layer, kept in zip(self._layers, before, strict=True):
                if kept is None:
                    vars(layer).pop("forward", None)
                else:
                    vars(layer)["forward"] = kept


def _adds_one_product(layer: LoraLayer) -> bool:
    """Whether a layer is a linear one to which every adapter adds its low-rank product and nothing else."""
    biased = any(getattr(part, "bias", None) is not None for part in layer.lora_B.values())
    return type(layer) is Linear and not layer.lora_variant and not biased and not layer.merged


def _on_rows(layer: LoraLayer, adapter_name: str, rows: slice | list[int], x: Tensor) -> Tensor:
    """Return the base layer's output for (B, T, in) with the adapter's product added to some rows."""
    base = layer.base_layer
    result: Tensor = base(x)
    if adapter_name not in layer.lora_A:
        return result
    a, b, scaling = layer.lora_A[adapter_name].weight, layer.lora_B[adapter_name].weight, layer.scaling[adapter_name]
    if isinstance(base, PrepackedLinear) and (term := base.term(adapter_name, a, b, scaling, x)):
        if rows == slice(None):
            return term.added(result, x)
        result[rows] = term.added(result[rows], x[rows])
        return result
    low = x[rows].reshape(-1, x.shape[-1]).to(result.dtype) @ a.to(result.dtype).T
    chosen = result[rows]  # a view where the rows are consecutive, else a copy
    chosen.view(-1, chosen.shape[-1]).addmm_(low, b.to(result.dtype).T, alpha=scaling)
    if not isinstance(rows, slice):
        result[rows] = chosen
    return result


def _on_some(layer: LoraLayer, adapter_name: str, rows: slice | list[int], count: int, x: Tensor) -> Tensor:
    """Do what `_on_rows` does for a batch of `count` rows, also where their tokens come flattened (OPT's MLP).

    Raises: AdapterMismatch where tokens come without their rows, as to single experts.
    """
    if len(x) == count:
        return _on_rows(layer, adapter_name, rows, x)
    if x.dim() != 2 or len(x) % count:
        raise AdapterMismatch(
            "The adapter acts on layers that see some tokens of all rows at once, such as experts: base and adapter "
            "cannot be computed side by side. Train one on the other layers."
        )
    return _on_rows(layer, adapter_name, rows, x.view(count, -1, x.shape[-1])).flatten(0, 1)
