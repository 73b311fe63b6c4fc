"""Weights shared out over processes (FSDP): each holds a part of every layer, and all gather a layer to compute it."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from sempa.errors import InputError


def share_out(model: PreTrainedModel, device: str) -> PreTrainedModel:
    """Share the decoder layers' weights out over the processes launched together, and put the rest on `device`.

    From then on every forward and backward is a common act: all processes must run equally many, in the same order.
    An adapter put on afterwards is whole in each. Embeddings and LM head stay whole too. Source: Zhao et al. 2023,
    PyTorch FSDP (here its second form, `fully_shard`).
    Raises: InputError for an architecture that does not name its layers.
    """
    names = set(model._no_split_modules or ())
    layers = [module for module in model.modules() if type(module).__name__ in names]
    if not layers:
        raise InputError(f"The layers of a {type(model).__name__} are not known: launch without --use_fsdp.")
    kind = torch.device(device).type
    mesh = init_device_mesh(kind, (dist.get_world_size(),))
    for layer in layers:
        # Every layer is gathered by itself: kept until the backward pass, the weights would be whole after all.
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    return model.to(device)


def held_here(model: PreTrainedModel) -> int:
    """Return how many of the weights this process holds when no layer is gathered."""
    return sum(p.to_local().numel() if isinstance(p, DTensor) else p.numel() for p in model.parameters())
