"""Dense vectors of one model, searched by inner product: exactly, or if there are many approximately."""

import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from sempa.errors import InputError

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]
EXACT_UP_TO = 50_000
"""Maximum vectors searched exactly: two cores compare a query with this many in a few milliseconds."""
LEAST_RECALL = 0.95
"""Share of the exact ten nearest that an approximate search must find, measured on a sample of the vectors."""
NEAREST, MEASURED = 10, 256
_READING = threading.Lock()
_DIRECT = faiss.DirectMap  # type: ignore[attr-defined]  # its stubs leave it out
PER_LIST = 64
"""Vectors per list from which its centre is learned."""


@dataclass(frozen=True)
class Approximation:
    """Describe an approximate search and its recall.

    The vectors are in `lists` lists, one byte per number; a query searches `probes` of them and finds `recall` (0..1)
    of the exact ten nearest, measured when it was built.
    """

    lists: int
    probes: int
    recall: float


class Vectors:
    """Hold N unit rows; ids are row numbers."""

    suffix = ".faiss"

    def __init__(self, engine: Any, approximation: Approximation | None = None) -> None:
        """Take a faiss index of unit rows, made here or read from disk.

        Raises: ValueError if its kind does not match `approximation`, or its rows are not of unit length.
        """
        self.engine, self.approximation = engine, approximation
        kind: Any = faiss.IndexIVFScalarQuantizer if approximation else faiss.IndexFlatIP
        if not isinstance(engine, kind):
            raise ValueError(f"a {type(engine).__name__} where a {kind.__name__} is expected")
        if approximation:
            engine.nprobe = approximation.probes
        elif not of_unit_length(self._all()):
            raise ValueError("vectors that are not of unit length")

    @classmethod
    def of(cls, rows: Rows, *, exact_up_to: int = EXACT_UP_TO) -> Self:
        """Take (N, D) unit float32 rows; more than `exact_up_to` are searched approximately.

        Raises: InputError if they are not of unit length.
        """
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        if not of_unit_length(rows):
            raise InputError("The vectors are not of unit length, so inner products would not be cosines.")
        if len(rows) > exact_up_to:
            return cls(*_approximate(rows))
        engine = faiss.IndexFlatIP(rows.shape[1])
        engine.add(rows)
        return cls(engine)

    def __len__(self) -> int:
        return int(self.engine.ntotal)

    @property
    def how(self) -> dict[str, object]:
        """Return what `read` needs in addition to the file."""
        return {"approximation": asdict(self.approximation)} if self.approximation else {}

    def serialised(self) -> memoryview:
        """Return the vectors as bytes for `read`."""
        return faiss.serialize_index(self.engine).data

    @classmethod
    def read(cls, path: Path, how: Mapping[str, Any]) -> Self:
        """Read a file with the bytes of `serialised`, given the `how` of those vectors.

        No more is allocated than the file has bytes. Raises: ValueError, TypeError or RuntimeError for another file.
        """
        approximation = how.get("approximation")
        with _READING:  # the limit applies to the process
            faiss.set_deserialization_vector_byte_limit(path.stat().st_size)
            engine = faiss.read_index(str(path))
        return cls(engine, approximation and Approximation(**approximation))

    def nearest(self, queries: Rows, k: int) -> tuple[Rows, Ids]:
        """Return cosines and ids, (Q, k), of the k nearest of (Q, D) rows, best first; -1 where none was found."""
        found: tuple[Rows, Ids] = self.engine.search(np.ascontiguousarray(queries, np.float32), min(k, len(self)))
        return found

    def cosines(self, query: Rows) -> Rows:
        """Return a (1, D) row's cosine with every vector, (N,); only for exact vectors."""
        return np.asarray(self._all() @ query[0])

    def pair_cosines(self, first: Ids, second: Ids) -> Rows:
        """Return the cosines of pairs of vectors, by their places."""
        return np.einsum("nd,nd->n", self.rows(first), self.rows(second))

    def rows(self, ids: Ids) -> Rows:
        """Return the vectors of some ids as they are held: rounded to a byte per number if they are approximate."""
        if self.approximation is None:
            return np.asarray(self._all()[ids])
        self.engine.set_direct_map_type(_DIRECT.Array)
        try:
            return np.asarray(self.engine.reconstruct_batch(ids))
        finally:
            self.engine.set_direct_map_type(_DIRECT.NoMap)

    def _all(self) -> Rows:
        values: Rows = faiss.rev_swig_ptr(self.engine.get_xb(), len(self) * self.engine.d)
        return values.reshape(len(self), self.engine.d)


def of_unit_length(rows: Rows) -> bool:
    """Return whether all (N, D) rows are of unit length."""
    squares = np.einsum("nd,nd->n", rows, rows)  # does not copy rows, which may be on disk
    return bool(np.allclose(np.sqrt(squares), 1, atol=1e-3))


def _approximate(rows: Rows) -> tuple[Any, Approximation]:
    count, width = rows.shape
    lists = 2 ** round(math.log2(4 * math.sqrt(count)))
    engine: Any = faiss.index_factory(width, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    drawn = np.random.default_rng(0)
    engine.train(rows[np.sort(drawn.choice(count, min(count, lists * PER_LIST), replace=False))])
    engine.add(rows)
    asked = rows[np.sort(drawn.choice(count, min(count, MEASURED), replace=False))]
    exact = faiss.knn(asked, rows, NEAREST, metric=faiss.METRIC_INNER_PRODUCT)[1]
    probes = 1
    while True:
        engine.nprobe = probes
        found = engine.search(asked, NEAREST)[1]
        recall = float(np.mean([len(set(a) & set(b)) / NEAREST for a, b in zip(exact, found, strict=True)]))
        if recall >= LEAST_RECALL or probes >= lists:
            return engine, Approximation(lists, probes, recall)
        probes = min(2 * probes, lists)
