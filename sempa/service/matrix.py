"""Compare every pair of several sentences under both models, and show where the models disagree."""

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

    `percentiles` (N, N) in 0..1 are those among random pairs: the one scale on which two models compare. Empty while
    they are not known.
    """

    sentences: Sequence[str]
    cosines: Mapping[str, Square]
    percentiles: Mapping[str, Square]

    @property
    def scaled(self) -> Mapping[str, Square]:
        """Return what is compared between models, 0..1: percentiles, or else each pair's rank among these pairs."""
        return self.percentiles or {variant: _ranks(values) for variant, values in self.cosines.items()}

    @property
    def difference(self) -> Square | None:
        """Return how much nearer the second model puts each pair, -1..1; None where there is one model."""
        if len(self.cosines) < 2:
            return None
        before, after = self.scaled.values()
        return after - before

    def pairs(self) -> list[tuple[int, int]]:
        """Return all pairs (i, j) with i < j, those the models disagree on most first; by cosine where there is one."""
        first, second = np.triu_indices(len(self.sentences), k=1)
        moved = self.difference
        by = np.abs(moved) if moved is not None else next(iter(self.cosines.values()))
        order = np.argsort(-by[first, second], kind="stable")
        return [(int(first[i]), int(second[i])) for i in order]


def pair_matrix(sentences: Sequence[str], rows: Mapping[str, Square], background: Mapping[str, Square]) -> PairMatrix:
    """Return the matrix of N sentences from each model's (N, D) unit rows; `background` holds sorted random cosines.

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
