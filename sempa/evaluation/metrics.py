"""Figures of merit as pure functions of numbers."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from sempa.errors import InputError

Floats = NDArray[np.float32]


def paired_cosines(a: Floats, b: Floats) -> Floats:
    """Return the cosine of each row of `a` with the same row of `b`; both (N, D) of unit rows, (N,) out."""
    return np.einsum("nd,nd->n", a, b)


def spearman(scores: Floats, gold: Floats) -> float:
    """Return Spearman's rank correlation times 100, ties given their mean rank.

    Raises: InputError if fewer than two rows or a constant side leave it undefined.
    """
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(gold) == 0:
        raise InputError(f"Spearman's correlation needs at least two different values a side, got {len(scores)} rows.")
    return float(spearmanr(scores, gold).statistic) * 100


def difference_interval(
    before: Floats, after: Floats, gold: Floats, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95% interval of spearman(after) - spearman(before), both x100, over resampled pairs.

    The same rows are drawn for both sides (paired percentile bootstrap). Source: Efron and Tibshirani 1993, chapter 13.
    """
    generator = np.random.default_rng(seed)
    differences = []
    for _ in range(resamples):
        rows = generator.integers(0, len(gold), len(gold))
        if np.ptp(gold[rows]) and np.ptp(before[rows]) and np.ptp(after[rows]):
            differences.append(spearman(after[rows], gold[rows]) - spearman(before[rows], gold[rows]))
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)


def nearer_share(anchors: Floats, entailments: Floats, contradictions: Floats) -> float:
    """Return the share (0..1) of triplets whose entailment is nearer to the anchor than the contradiction is."""
    return float(np.mean(paired_cosines(anchors, entailments) > paired_cosines(anchors, contradictions)))
