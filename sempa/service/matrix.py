"""Compare all pairs of several sentences under both models and find where the models disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from sempa.errors import InputError

Square = NDArray[np.float32]


@dataclass(frozen=True)
class PairMatrix:
    """Hold N sentences and each model's cosines of all pairs, (N, N) in -1..1.

    `percentiles` (N, N), 0..1, rank each cosine among random pairs, which makes two models comparable. Empty if
    unknown.
    """

    sentences: Sequence[str]
    cosines: Mapping[str, Square]
    percentiles: Mapping[str, Square]

    @property
    def scaled(self) -> Mapping[str, Square]:
        """Return values comparable between models, 0..1: percentiles, or else ranks among these pairs."""
        return self.percentiles or {variant: _ranks(values) for variant, values in self.cosines.items()}

    @property
    def difference(self) -> Square | None:
        """Return the second model's scaled values minus the first's, -1..1; None with one model."""
        if len(self.cosines) < 2:
            return None
        before, after = self.scaled.values()
        return after - before

    def pairs(self) -> list[tuple[int, int]]:
        """Return all pairs (i, j) with i < j, largest disagreement first; with one model, highest cosine first."""
        first, second = np.triu_indices(len(self.sentences), k=1)
        moved = self.difference
        by = np.abs(moved) if moved is not None else next(iter(self.cosines.values()))
        order = np.argsort(-by[first, second], kind="stable")
        return [(int(first[i]), int(second[i])) for i in order]


def pair_matrix(sentences: Sequence[str], rows: Mapping[str, Square], background: Mapping[str, Square]) -> PairMatrix:
    """Return the matrix of N sentences from each model's (N, D) unit rows; `background` has sorted random cosines.

    Raises: InputError for fewer than two sentences.
    """
    if len(sentences) < 2:
        raise InputError("A matrix needs at least two sentences, one per line.")
    cosines = {variant: np.clip(values @ values.T, -1, 1) for variant, values in rows.items()}
    percentiles = {
        variant: (np.searchsorted(background[variant], values) / len(background[variant])).astype(np.float32)
        for variant, values in cosines.items()
        if variant in background
    }
    return PairMatrix(sentences, cosines, percentiles if len(percentiles) == len(cosines) else {})


def _ranks(values: Square) -> Square:
    first, second = np.triu_indices(len(values), k=1)
    ranks = np.ones_like(values)
    ranks[first, second] = ranks[second, first] = (rankdata(values[first, second]) - 0.5) / len(first)
    return ranks
