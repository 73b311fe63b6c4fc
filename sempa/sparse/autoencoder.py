"""A TopK autoencoder of embeddings: each vector as a few non-negative features."""

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn


class SparseCoder(nn.Module):
    """Code (N, D) unit rows as (N, H) non-negative activations, of which the k largest are kept, and decode them.

    k is an argument, not a weight: one fit serves any k. `decoder` holds one direction per feature, (H, D).
    Source: Wen et al. 2025 (CSR), after Gao et al. 2024 (TopK sparse autoencoders).
    """

    def __init__(self, width: int, features: int, seed: int = 0) -> None:
        """Start from random directions, the same in encoder and decoder."""
        super().__init__()
        drawn = torch.randn(features, width, generator=torch.Generator().manual_seed(seed))
        directions = nn.functional.normalize(drawn, dim=-1)
        self.centre = nn.Parameter(torch.zeros(width))
        self.encoder = nn.Parameter(directions.clone())
        self.bias = nn.Parameter(torch.zeros(features))
        self.decoder = nn.Parameter(directions)
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("idle", torch.zeros(features, dtype=torch.int64), persistent=False)
        self.scale: Tensor
        self.idle: Tensor
        """Steps of training since each feature was last active."""

    @torch.no_grad()
    def begin_at(self, rows: Tensor) -> None:
        """Start from the centre of (N, D) rows and their mean distance from it."""
        self.centre.copy_(rows.mean(dim=0))
        self.scale.copy_((rows - self.centre).norm(dim=-1).mean())

    def activations(self, rows: Tensor) -> Tensor:
        """Return every feature's activation before any is dropped, (N, H)."""
        return ((rows - self.centre) / self.scale) @ self.encoder.T + self.bias

    def decode(self, codes: Tensor) -> Tensor:
        """Return the (N, D) rows that (N, H) codes reconstruct."""
        return (codes @ self.decoder) * self.scale + self.centre

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights in float16, as they are stored on disk."""
        return {name: value.detach().half() for name, value in self.state_dict().items()}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return a coder with the weights of `tensors`, in float32."""
        features, width = tensors["decoder"].shape
        made = cls(width, features)
        made.load_state_dict({name: value.float() for name, value in tensors.items()})
        return made.requires_grad_(False)


def largest(activations: Tensor, k: int) -> Tensor:
    """Keep each row's k largest activations if they are positive, and set the rest to 0; (N, H) in and out."""
    values, places = activations.topk(min(k, activations.shape[-1]), dim=-1)
    return torch.zeros_like(activations).scatter(-1, places, values.relu())
