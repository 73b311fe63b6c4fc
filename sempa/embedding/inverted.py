"""Sparse codes of one model in an inverted index, searched exactly by inner product."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from sempa.errors import InputError

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]
LEVELS = 255
"""Steps between 0 and an index's largest activation: a byte each."""


class Codes:
    """Hold N codes over H features, column by column; ids are their places.

    A query visits only the columns of its own features. Activations are rounded to LEVELS steps.
    """

    suffix = ".npz"
    approximation: None = None
    how: Mapping[str, object] = MappingProxyType({})

    def __init__(self, columns: sparse.csc_array, step: float) -> None:
        """Take (N, H) steps as uint8, and the size of a step.

        Raises: ValueError if they are of another type.
        """
        if columns.dtype != np.uint8:
            raise ValueError(f"codes of type {columns.dtype} where uint8 is expected")
        columns.sort_indices()
        # scipy may store indices in eight bytes; four are enough for two thousand million.
        if columns.nnz < np.iinfo(np.int32).max:
            columns.indices, columns.indptr = (part.astype(np.int32) for part in (columns.indices, columns.indptr))
        self._columns, self._step = columns, step

    @classmethod
    def of(cls, codes: sparse.csr_array) -> Self:
        """Take (N, H) non-negative codes of unit length.

        Raises: InputError for negative activations.
        """
        if codes.nnz and codes.data.min() < 0:
            raise InputError("Codes have no negative activations.")
        step = float(codes.data.max()) / LEVELS if codes.nnz else 1.0
        steps = codes.copy()
        steps.data = np.rint(codes.data / step).astype(np.uint8)
        steps.eliminate_zeros()
        return cls(steps.tocsc(), step)

    def __len__(self) -> int:
        return int(self._columns.shape[0])

    @property
    def size(self) -> int:
        """Return the bytes the codes take in memory."""
        return int(self._columns.data.nbytes + self._columns.indices.nbytes + self._columns.indptr.nbytes)

    def nearest(self, queries: sparse.csr_array, k: int) -> tuple[Rows, Ids]:
        """Return scores and ids, (Q, k), of the k best for (Q, H) query codes, best first."""
        k = min(k, len(self))
        scores, ids = np.empty((queries.shape[0], k), np.float32), np.empty((queries.shape[0], k), np.int64)
        for row in range(queries.shape[0]):
            best = torch.from_numpy(self.cosines(queries[[row]])).topk(k)
            scores[row], ids[row] = best.values.numpy(), best.indices.numpy()
        return scores, ids

    def cosines(self, query: sparse.csr_array) -> Rows:
        """Return a (1, H) query's inner product with every code, (N,)."""
        part = self._columns[:, query.indices]
        part.data = part.data.astype(np.float32)
        return np.asarray(part @ (query.data * self._step).astype(np.float32), dtype=np.float32)

    def shared(self, query: sparse.csr_array, number: int) -> dict[int, float]:
        """Return the features a (1, H) query and one code share, with each one's part of their score, largest first."""
        found = {}
        for feature, weight in zip(query.indices.tolist(), query.data.tolist(), strict=True):
            start, end = self._columns.indptr[feature : feature + 2]
            place = start + int(np.searchsorted(self._columns.indices[start:end], number))
            if place < end and self._columns.indices[place] == number:
                found[feature] = weight * int(self._columns.data[place]) * self._step
        return dict(sorted(found.items(), key=lambda part: -part[1]))

    def pair_cosines(self, first: Ids, second: Ids) -> Rows:
        """Return the inner products of pairs of codes, by their places."""
        rows = self._columns.astype(np.float32).tocsr() * self._step
        return np.asarray(rows[first].multiply(rows[second]).sum(axis=1), dtype=np.float32).ravel()

    def serialised(self) -> bytes:
        """Return the codes as bytes for `read`."""
        made = io.BytesIO()
        parts = {"data": self._columns.data, "indices": self._columns.indices, "indptr": self._columns.indptr}
        np.savez(made, **parts, shape=np.array(self._columns.shape), step=np.float64(self._step))
        return made.getvalue()

    @classmethod
    def read(cls, path: Path, _: Mapping[str, Any]) -> Self:
        """Read a file with the bytes of `serialised`.

        Raises: ValueError or OSError for any other file.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                parts = (stored["data"], stored["indices"], stored["indptr"])
                columns = sparse.csc_array(parts, shape=tuple(stored["shape"].tolist()))
                columns.check_format(full_check=True)
                return cls(columns, float(stored["step"]))
        except zipfile.BadZipFile as error:
            raise ValueError(f"no codes in it: {error}") from error
