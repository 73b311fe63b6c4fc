"""Vectors as points of a plane, and how much of each neighbourhood a plane or another model keeps."""

from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]
NEAREST = 10
"""Neighbours compared per text."""


def neighbours(rows: Rows, k: int = NEAREST) -> Ids:
    """Return the ids of the k other rows nearest to each of (N, D) rows by Euclidean distance, (N, min(k, N - 1)).

    On unit rows, this is the order of cosines.
    """
    rows = np.ascontiguousarray(rows, np.float32)
    k = min(k, len(rows) - 1)
    found = faiss.knn(rows, rows, k + 1)[1].astype(np.int64)
    own = found == np.arange(len(rows))[:, None]
    own[~own.any(axis=1), -1] = True  # among many equal rows, its own may be missing
    return found[~own].reshape(len(rows), k)


def shared(first: Ids, second: Ids) -> NDArray[np.float64]:
    """Return the share (0..1) of neighbours that two lists of (N, k) have in common, (N,)."""
    if not first.size:
        return np.ones(len(first))
    return (first[:, :, None] == second[:, None, :]).any(axis=2).mean(axis=1)


def principal(rows: Rows) -> Rows:
    """Return (N, D) rows as (N, 2) points: their two principal components."""
    centred = rows - rows.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :2]
    return np.asarray(centred @ axes, dtype=np.float32)


def t_sne(rows: Rows, report: Callable[[int, int], None] = lambda done, total: None, threads: int = 1) -> Rows:
    """Return (N, D) unit rows as (N, 2) points that keep neighbours together, the same at each call; N is at least 5.

    `report` gets iterations done and their total. Source: van der Maaten and Hinton, JMLR 2008; openTSNE.
    """
    from openTSNE import TSNE

    stages = (250, 500)
    begun = 0

    def called(iteration: int, _error: float, _embedding: object) -> None:
        nonlocal begun
        begun = max(begun, iteration) if begun < stages[0] else max(begun, stages[0] + iteration)
        report(min(begun, sum(stages)), sum(stages))

    start = principal(rows)
    fitted = TSNE(
        perplexity=min(30, (len(rows) - 1) / 3),
        metric="cosine",
        initialization=start / start[:, 0].std() * 1e-4,
        early_exaggeration_iter=stages[0],
        n_iter=stages[1],
        n_jobs=threads,
        random_state=0,
        callbacks=called,
        callbacks_every_iters=25,
    ).fit(rows)
    return np.asarray(fitted, dtype=np.float32)


def clusters(rows: Rows, count: int) -> Ids:
    """Return the number (from 0) of the k-means cluster of each of (N, D) unit rows, (N,), the same at each call."""
    rows = np.ascontiguousarray(rows, np.float32)
    means = faiss.Kmeans(
        rows.shape[1], min(count, len(rows)), niter=20, seed=0, spherical=True, min_points_per_centroid=1
    )
    means.train(rows)
    return np.asarray(means.index.search(rows, 1)[1][:, 0])
