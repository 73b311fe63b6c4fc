"""Measure how long projections to a plane take, and how many of each text's ten nearest neighbours they keep.

The demo corpus has its own vectors; 20,000 points are the same vectors with noise, since only their number matters for
the time. Needs umap-learn and scikit-learn beside requirements.txt.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sempa.embedding.index import INDEX_ROOT, SentenceIndex
from sempa.embedding.projection import neighbours, principal, shared, t_sne
from sempa.evaluation.results import write_result
from sempa.machine import environment, versions

SEED = 0


def umap(rows: np.ndarray) -> np.ndarray:
    from umap import UMAP

    return UMAP(metric="cosine", random_state=SEED, n_jobs=1).fit_transform(rows)


def scikit_learn(rows: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE

    return TSNE(metric="cosine", init="pca", random_state=SEED, n_jobs=1).fit_transform(rows)


PROJECTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "PCA": principal,
    "t-SNE (openTSNE)": t_sne,
    "t-SNE (scikit-learn)": scikit_learn,
    "UMAP (umap-learn)": umap,
}


def grown(rows: np.ndarray, count: int) -> np.ndarray:
    """Return `count` unit rows drawn from `rows`, each with noise of a third of its length."""
    generator = np.random.default_rng(SEED)
    drawn = rows[generator.integers(0, len(rows), count)]
    drawn = drawn + generator.normal(0, 0.33 / np.sqrt(rows.shape[1]), drawn.shape).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def measured(name: str, rows: np.ndarray) -> dict[str, object]:
    """Project once and return processor seconds, the library's import and compilation included, and the share kept."""
    began = time.process_time()
    points = PROJECTIONS[name](rows)
    seconds = time.process_time() - began
    near, kept = neighbours(rows), neighbours(points)
    return {"projection": name, "texts": len(rows), "cpu_seconds": seconds, "kept": float(shared(near, kept).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--projections", nargs="+", default=list(PROJECTIONS), choices=list(PROJECTIONS))
    parser.add_argument("--result", type=Path, default=Path("results/maps.json"))
    given = parser.parse_args()
    demo = SentenceIndex.load(INDEX_ROOT / "demo")
    rows = next(demo.rows(recipe) for recipe in demo.recipes if recipe.adapter is None)
    packages = versions("openTSNE", "umap-learn", "scikit-learn")
    stated = {"kind": "maps", "seed": SEED, **environment(), "versions": packages}
    found = []
    for name in given.projections:
        for vectors in (rows, grown(rows, given.texts)):
            found.append(measured(name, vectors))
            print(found[-1], flush=True)
            write_result({**stated, "rows": found}, given.result)


if __name__ == "__main__":
    main()
