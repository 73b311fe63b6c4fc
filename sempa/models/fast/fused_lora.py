"""LoRA's low-rank product added in place, with fewer passes over the activations than PEFT's own."""

from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import LoraVariant
from torch import Tensor

from sempa.models.fast import is_plain


class _AddLowRank(torch.autograd.Function):
    """Compute `result += scaling * (x A^T) B^T` in place, with the three gradients written out."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, x: Tensor, a: Tensor, b: Tensor, scaling: float) -> Tensor:
        """Add in place; `result` (..., out), `x` (..., in), `a` (r, in), `b` (out, r)."""
        rows = x.reshape(-1, x.shape[-1]).to(result.dtype)
        a_, b_ = a.to(result.dtype), b.to(result.dtype)
        low = rows @ a_.T
        result.view(-1, result.shape[-1]).addmm_(low, b_.T, alpha=scaling)
        ctx.mark_dirty(result)
        ctx.save_for_backward(rows, low, a_, b_)
        ctx.scaling, ctx.like = scaling, x
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of result, x, a and b; the last two in float32, as the weights are."""
        rows, low, a_, b_ = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, gradients[0].shape[-1])
        to_low = (gradient @ b_) * ctx.scaling
        to_a = (to_low.T @ rows).float()
        to_b = (gradient.T @ low).float() * ctx.scaling
        to_x = (to_low @ a_).view_as(ctx.like).to(ctx.like.dtype) if ctx.needs_input_grad[1] else None
        return gradients[0], to_x, to_a, to_b, None


class FusedLora(LoraVariant):  # type: ignore[misc]  # peft has no types here
    """PEFT's hook for another way to compute the adapter's product; see `fuse`."""

    @staticmethod
    def forward(module: LoraLayer, active_adapter: str, x: Tensor, result: Tensor, **_: Any) -> Tensor:
        """Return `result` with the adapter's product for `x` added."""
        a, b = module.lora_A[active_adapter].weight, module.lora_B[active_adapter].weight
        x = module.lora_dropout[active_adapter](x)
        added: Tensor = _AddLowRank.apply(result, x, a, b, module.scaling[active_adapter])
        return added


def fuse(tuned: PeftModel, adapter: str) -> None:
    """Add the adapter's product in place in every plain LoRA layer; for training, not for merging."""
    if is_plain():
        return
    for module in tuned.modules():
        if isinstance(module, LoraLayer) and adapter in module.lora_A and adapter not in module.lora_variant:
            module.lora_variant[adapter] = FusedLora
            module.cast_input_dtype_enabled = False
