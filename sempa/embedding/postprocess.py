"""Correct embeddings by statistics of declared text, saved beside the recipe.

Source: Mu and Viswanath 2018 (removing top directions); Su et al. 2021 (whitening).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from sempa.errors import InputError, StorageError
from sempa.files import atomic_file, sha256_of

Rows = NDArray[np.float32]
FILE = "postprocess.safetensors"
KINDS = ("centre", "remove-top", "whiten")


@dataclass(frozen=True)
class Postprocess:
    """Hold, for each variant, the mean (D,) to subtract and the matrix (D, D) to multiply by.

    `fitted_on` describes the text that the statistics come from.
    """

    kind: str
    fitted_on: str
    means: Mapping[str, Rows]
    matrices: Mapping[str, Rows]

    @classmethod
    def fit(cls, kind: str, rows: Mapping[str, Rows], fitted_on: str, directions: int = 3) -> Self:
        """Fit statistics on each variant's (N, D) rows: `centre`, `remove-top` (of `directions`), or `whiten`.

        Raises: InputError for an unknown kind, or too few rows for whitening (N must exceed D).
        """
        if kind not in KINDS:
            raise InputError(f"Post-processing {kind!r} is unknown: choose {', '.join(KINDS)}.")
        means = {name: values.mean(axis=0) for name, values in rows.items()}
        matrices = {name: _matrix(kind, values - means[name], directions) for name, values in rows.items()}
        return cls(kind, fitted_on, means, matrices)

    def apply(self, rows: Rows, variant: str) -> Rows:
        """Return corrected (N, D) rows, not yet of unit length.

        Raises: InputError if the statistics hold nothing for the variant.
        """
        if variant not in self.means:
            raise InputError(f"The post-processing statistics cover {', '.join(self.means)}, but not {variant!r}.")
        return np.asarray((rows - self.means[variant]) @ self.matrices[variant], dtype=np.float32)

    @property
    def about(self) -> str:
        """Return a description: the kind, and the text it was fitted on."""
        return f"{self.kind} fitted on {self.fitted_on}"

    @property
    def sha256(self) -> str:
        """Return the hash that names these statistics in a recipe: that of the file `save` writes."""
        return hashlib.sha256(self._serialised()).hexdigest()

    def save(self, folder: Path) -> str:
        """Write the statistics into a folder and return their SHA-256.

        Raises: StorageError if the disk refuses.
        """
        with atomic_file(folder / FILE, "The statistics") as aside:
            aside.write_bytes(self._serialised())
        return self.sha256

    def _serialised(self) -> bytes:
        tensors = {f"{v}.mean": mean for v, mean in self.means.items()}
        tensors |= {f"{v}.matrix": matrix for v, matrix in self.matrices.items()}
        # A single entry: safetensors writes several in varying order, which would change the hash.
        about = json.dumps({"kind": self.kind, "fitted_on": self.fitted_on})
        return bytes(save(tensors, metadata={"about": about}))

    @classmethod
    def load(cls, folder: Path, sha256: str) -> Self:
        """Read statistics from a folder.

        Raises: StorageError if they are missing or have another hash.
        """
        path = folder / FILE
        if not path.is_file() or sha256_of(path) != sha256:
            raise StorageError(f"{path} is missing or not the file the recipe names: restore it or fit it again.")
        with safe_open(path, "numpy") as stored:
            about = json.loads(stored.metadata()["about"])
            means, matrices = (
                {name.removesuffix(part): stored.get_tensor(name) for name in stored.keys() if name.endswith(part)}  # noqa: SIM118
                for part in (".mean", ".matrix")
            )
        return cls(means=means, matrices=matrices, **about)


def _matrix(kind: str, centred: Rows, directions: int) -> Rows:
    count, width = centred.shape
    if kind == "centre":
        return np.eye(width, dtype=np.float32)
    if kind == "whiten" and count <= width:
        raise InputError(f"Whitening {width}-dimensional vectors needs more than {width} sentences, got {count}.")
    spectrum, vectors = np.linalg.eigh(centred.astype(np.float64).T @ centred / count)
    if kind == "whiten":
        scales = np.sqrt(np.maximum(spectrum, spectrum.max() * 1e-9))
        return np.ascontiguousarray(vectors / scales, dtype=np.float32)
    top = vectors[:, np.argsort(spectrum)[::-1][:directions]]
    return np.ascontiguousarray(np.eye(width) - top @ top.T, dtype=np.float32)
