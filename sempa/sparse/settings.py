"""How sparse codes are learned. Standard library only."""

from dataclasses import dataclass
from typing import Annotated

from sempa.config import require

CODES_FOLDER = "codes"
"""Folder of an adapter's sparse codes, beside its weights."""


@dataclass(frozen=True)
class CodingConfig:
    """How sparse codes are learned from embeddings. `batch_size` counts triplets.

    Source: Wen et al. 2025 (CSR).
    """

    expansion_factor: Annotated[int, "features per vector dimension; more reconstruct better but retrieve worse"] = 1
    k: Annotated[int, "active features per text while fitting"] = 32
    tau: Annotated[float, "temperature of the codes' similarities"] = 0.1
    preference_weight: Annotated[float, "weight of the preference loss, relative to the reconstruction loss"] = 0.03
    lr: Annotated[float, "learning rate"] = 3e-3
    batch_size: int = 256
    epochs: Annotated[int, "passes over the triplets"] = 20
    seed: Annotated[int, "seed for weights and data order"] = 42

    def __post_init__(self) -> None:
        require(self, "greater than 0", lambda x: x > 0, "expansion_factor k tau lr batch_size epochs")
        require(self, "at least 0", lambda x: x >= 0, "preference_weight")
