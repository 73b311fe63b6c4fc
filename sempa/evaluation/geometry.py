"""Geometry of a model's embeddings: uniformity, alignment, isotropy and effective rank."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sempa.errors import InputError

Rows = NDArray[np.float32]

PAIRS_AT_ONCE = 2_000
"""Rows whose distances to all others are in memory at once."""


def uniformity(rows: Rows) -> float:
    """Return log E exp(-2 |x - y|^2) over all pairs of different rows, (N, D) unit vectors: lower is more uniform.

    Source: Wang and Isola 2020. Raises: InputError for fewer than two rows.
    """
    _require(rows, 2)
    total = 0.0
    for start in range(0, len(rows), PAIRS_AT_ONCE):
        part = rows[start : start + PAIRS_AT_ONCE].astype(np.float64)
        total += float(np.exp(-2 * (2 - 2 * part @ rows.T.astype(np.float64))).sum())
    return float(np.log((total - len(rows)) / (len(rows) * (len(rows) - 1))))


def alignment(first: Rows, second: Rows) -> float:
    """Return E |x - y|^2 over pairs with the same meaning, two (N, D) of unit rows: lower is closer.

    Source: Wang and Isola 2020.
    """
    _require(first, 1)
    return float(((first.astype(np.float64) - second) ** 2).sum(axis=1).mean())


def isotropy(rows: Rows) -> float:
    """Return min Z(c) / max Z(c) with Z(c) = sum of exp(c . v) over the rows, in 0..1: higher uses directions evenly.

    c runs over the eigenvectors of V^T V under both signs, since an eigenvector's sign is arbitrary. Rows are (N, D)
    of unit length. Source: Mu and Viswanath 2018.
    """
    _require(rows, 1)
    values = rows.astype(np.float64)
    _, directions = np.linalg.eigh(values.T @ values)
    projected = values @ directions
    sums = np.concatenate([np.exp(projected).sum(axis=0), np.exp(-projected).sum(axis=0)])
    return float(sums.min() / sums.max())


def effective_rank(rows: Rows) -> float:
    """Return exp of the entropy of the normalised singular values, 1..D: the effective number of dimensions.

    Source: Roy and Vetterli 2007. Raises: InputError if all rows are zero.
    """
    _require(rows, 1)
    values = np.linalg.svd(rows.astype(np.float64), compute_uv=False)
    if not values.sum():
        raise InputError("The effective rank of rows that are all zero is undefined.")
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def geometry_figures(rows: Mapping[str, Rows]) -> dict[str, Any]:
    """Return a model's geometry figures from the unit rows of N triplets.

    `rows` has the keys `anchor`, `positive` and `negative`, each (N, D). Uniformity, isotropy and effective rank
    describe the anchors. Alignment compares anchors with entailments; `distance_to_negative` is the same measure
    between anchors and contradictions.
    """
    anchors = rows["anchor"]
    return {
        "uniformity": round(uniformity(anchors), 4),
        "alignment": round(alignment(anchors, rows["positive"]), 4),
        "distance_to_negative": round(alignment(anchors, rows["negative"]), 4),
        "isotropy": round(isotropy(anchors), 4),
        "effective_rank": round(effective_rank(anchors), 1),
        "mean_cosine": round(_mean_cosine(anchors), 4),
    }


def _mean_cosine(rows: Rows) -> float:
    total = rows.sum(axis=0, dtype=np.float64)
    return float((total @ total - len(rows)) / (len(rows) * (len(rows) - 1)))


def _require(rows: Rows, least: int) -> None:
    if len(rows) < least:
        raise InputError(f"This figure needs at least {least} sentences, got {len(rows)}.")
