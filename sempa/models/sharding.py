"""Weights sharded over processes (FSDP): each holds a part of every layer; all gather a layer to compute it."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from sempa.errors import InputError


def share_out(model: PreTrainedModel, device: str) -> PreTrainedModel:
    """Shard the decoder layers' weights over the processes launched together, and put the rest on `device`.

    From then on all processes must run the same number of forwards and backwards, in the same order. Embeddings, LM
    head and adapters added later are complete in each process. Source: Zhao et al. 2023, PyTorch FSDP (`fully_shard`).
    Raises: InputError for an architecture that does not name its layers.
    """
    layers = [module for module in model.modules() if type(module).__name__ in (model._no_split_modules or ())]
    if not layers:
        raise InputError(f"The layers of a {type(model).__name__} cannot be found: launch without --use_fsdp.")
    mesh = init_device_mesh(torch.device(device).type, (dist.get_world_size(),))
    for layer in layers:
        # Each layer is freed after its forward: kept until the backward pass, all weights would be in memory after all.
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    return model.to(device)


def held_here(model: PreTrainedModel) -> int:
    """Return how many of the weights this process holds when no layer is gathered."""
    return sum(p.to_local().numel() if isinstance(p, DTensor) else p.numel() for p in model.parameters())
