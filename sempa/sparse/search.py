"""Search and compare sentences by sparse codes, and say which words or features match and by how much."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sempa.embedding.index import SentenceIndex
from sempa.embedding.ranking import RankedHit, search_each
from sempa.sparse.coders import SparseEncoder

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """A feature's name, the texts in which it is most active (none for a word), and its part of a score."""

    label: str
    texts: tuple[str, ...]
    size: float


@dataclass(frozen=True)
class SparseHit(RankedHit):
    """A hit, its rank under the other model, and the parts of its score, largest first."""

    parts: list[Part]

    def payload(self) -> dict[str, Any]:
        """Return the hit as JSON types, with `matched`, the parts of its score."""
        return {**super().payload(), "matched": [{"feature": part.label, "part": part.size} for part in self.parts]}


@dataclass(frozen=True)
class SparsePair:
    """The cosine of two codes, the parts they share, and what each has alone, with its activation."""

    cosine: float
    shared: list[Part]
    first: list[Part]
    second: list[Part]


class SparseSearch:
    """Search an index and compare sentences by one kind of sparse codes."""

    def __init__(self, encoder: SparseEncoder) -> None:
        self._encoder = encoder

    def search(self, index: SentenceIndex, query: str, rows: Mapping[str, Rows], k: int) -> dict[str, list[SparseHit]]:
        """Return each model's k best texts, each with its rank under the other model and what matched.

        `rows` has each model's (1, D) unit row of the query. Codes that the index lacks are computed from its vectors
        and added in memory.
        Raises: what `SparseEncoder.add_to` and `SentenceIndex.search` raise.
        """
        recipes = {variant: self._encoder.recipe(variant) for variant in rows}
        if not set(recipes.values()) <= set(index.recipes):
            with index.adding():
                self._encoder.add_to(index)
        codes = {variant: self._encoder.queries([query], rows[variant], variant) for variant in rows}
        return {
            variant: [
                SparseHit(
                    ranked.hit,
                    ranked.other_rank,
                    self._parts(variant, index.shared(recipes[variant], codes[variant], ranked.hit.id)),
                )
                for ranked in hits
            ]
            for variant, hits in search_each(index, recipes, codes, k).items()
        }

    def compare(self, rows: Mapping[str, Rows]) -> dict[str, SparsePair]:
        """Return what two sentences' codes share and what each has alone, given each model's (2, D) unit rows."""
        found = {}
        for variant, both in rows.items():
            codes = self._encoder.codes(both, variant)
            first, second = codes[[0]], codes[[1]]
            parts = (shared_parts(first, second), own_parts(first, second), own_parts(second, first))
            found[variant] = SparsePair(sum(parts[0].values()), *(self._parts(variant, sizes) for sizes in parts))
        return found

    def _parts(self, variant: str, sizes: Mapping[int, float]) -> list[Part]:
        described = [(self._encoder.coder.describe(variant, number), size) for number, size in sizes.items()]
        return [Part(feature.label, feature.texts, size) for feature, size in described]


def shared_parts(first: sparse.csr_array, second: sparse.csr_array) -> dict[int, float]:
    """Return the features two (1, H) codes share, each with its part of their cosine, largest first."""
    product = first.multiply(second).tocsr()
    return _by_size(product.indices, product.data)


def own_parts(code: sparse.csr_array, other: sparse.csr_array) -> dict[int, float]:
    """Return the features that a (1, H) code has and another has not, with their activations, largest first."""
    alone = ~np.isin(code.indices, other.indices)
    return _by_size(code.indices[alone], code.data[alone])


def _by_size(features: NDArray[Any], sizes: NDArray[Any]) -> dict[int, float]:
    order = np.argsort(-sizes, kind="stable")
    return {int(features[i]): float(sizes[i]) for i in order}
