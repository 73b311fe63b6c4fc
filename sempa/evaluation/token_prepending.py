"""Token Prepending: copy the state of the prompt's last token before the sentence, for the next layer to see.

Source: Fu et al. 2025 (training-free).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sempa.models.batching import right_padded
from sempa.models.pair import BASE, ModelPair
from sempa.models.prompts import padding_id


def prepended_states(pair: ModelPair, rows: Sequence[Sequence[int]], place: int, until: int, layer: int) -> Tensor:
    """Return (B, D) base states of B prompts' last tokens at a layer.

    Before each layer from the second to the `until`-th, the row's last state replaces the state at `place`, the
    position of a placeholder token.
    Raises: InputError for a layer the model does not have.
    """
    input_ids, mask = right_padded(rows, padding_id(pair.tokenizer))
    last = (mask.sum(1) - 1).to(pair.device)
    every = torch.arange(len(rows), device=pair.device)

    def prepend(states: Tensor) -> Tensor:
        states = states.clone()
        states[:, place] = states[every, last]
        return states

    with pair.using(BASE) as model, _before_each([*_layers(model.base_model, pair.layers)][1:until], prepend):
        states = pair.hidden_states(BASE, input_ids, mask, layer)
    return states[every, last].float().cpu()


def _layers(decoder: nn.Module, count: int) -> nn.ModuleList:
    return next(part for part in decoder.modules() if isinstance(part, nn.ModuleList) and len(part) == count)


@contextmanager
def _before_each(layers: Sequence[nn.Module], change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Apply `change` to the input of each layer until the block ends."""

    def changed(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return change(args[0]), *args[1:]

    handles = [layer.register_forward_pre_hook(changed) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
