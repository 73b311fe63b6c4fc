"""Compare exact and approximate search at a million vectors: recall, p50 and p95 latency, memory, build time.

`python benchmarks/search.py --texts COCO/corpus.jsonl --json results/search.json` encodes the texts with the default
model and measures recall on them. Then it adds noisy copies of their vectors, up to `--count`, with noise as large as
the distance to the nearest neighbour, so that the large index is distributed like real sentences. Queries are held-out
texts and held-out copies, sent one at a time, as visitors do.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from shared import keep

from sempa.data.corpora import read_corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.vectors import Rows, Vectors
from sempa.evaluation.result_cache import cached_rows

QUERIES, K = 500, 10


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--texts", type=Path, required=True, help="TXT, CSV or JSONL")
    made.add_argument("--count", type=int, default=1_000_000, help="vectors of the large index (default: %(default)s)")
    made.add_argument("--json", type=Path)
    return made


def measured(rows: Rows, queries: Rows) -> dict[str, Any]:
    """Return the cost of exact and approximate search of the same rows, and the recall of the approximate one."""
    started = time.perf_counter()
    exact = Vectors.of(rows, exact_up_to=len(rows))
    built = {"exact": time.perf_counter() - started}
    started = time.perf_counter()
    approximate = Vectors.of(rows, exact_up_to=0)
    built["approximate"] = time.perf_counter() - started
    found: dict[str, Any] = {}
    nearest: dict[str, list[set[int]]] = {}
    for name, vectors in (("exact", exact), ("approximate", approximate)):
        seconds, ids = [], []
        for query in queries:
            started = time.perf_counter()
            ids.append(set(vectors.nearest(query[np.newaxis], K)[1][0].tolist()))
            seconds.append(time.perf_counter() - started)
        nearest[name] = ids
        found[name] = {
            "p50_ms": round(1e3 * float(np.percentile(seconds, 50)), 3),
            "p95_ms": round(1e3 * float(np.percentile(seconds, 95)), 3),
            "bytes": rows.nbytes if name == "exact" else int(faiss.serialize_index(vectors.engine).nbytes),
            "build_seconds": round(built[name], 1),
        }
    approximation = approximate.approximation
    assert approximation
    recall = float(np.mean([len(a & b) / K for a, b in zip(nearest["exact"], nearest["approximate"], strict=True)]))
    found["approximate"] |= {"recall_at_10": round(recall, 4), "recall_when_built": round(approximation.recall, 4)}
    found["approximate"] |= {"lists": approximation.lists, "probes": approximation.probes}
    found["memory_share"] = round(found["approximate"]["bytes"] / found["exact"]["bytes"], 3)
    return {"vectors": len(rows), "queries": len(queries), **found}


def spread(rows: Rows, count: int, seed: int) -> Rows:
    """Return `count` unit rows near `rows`: each is as far from its source as the source from its nearest neighbour."""
    drawn = np.random.default_rng(seed)
    width = rows.shape[1]
    cosines = faiss.knn(rows, rows, 2, metric=faiss.METRIC_INNER_PRODUCT)[0][:, 1]
    reach = np.sqrt(np.maximum(0, 2 - 2 * cosines))
    out = np.empty((count, width), dtype=np.float32)
    for start in range(0, count, 50_000):
        at = drawn.integers(0, len(rows), min(50_000, count - start))
        noise = drawn.standard_normal((len(at), width), dtype=np.float32) / np.sqrt(width)
        made = rows[at] + reach[at, np.newaxis].astype(np.float32) * noise
        out[start : start + len(at)] = made / np.linalg.norm(made, axis=1, keepdims=True)
    return out


def main() -> int:
    """Measure, print and write."""
    args = parser().parse_args()
    encoder = Encoder.default()
    texts = list(read_corpus(args.texts).texts)
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    rows = cached_rows(encoder, encoder.best_variant, texts)[sorted(first.values())]
    order = np.random.default_rng(0).permutation(len(rows))
    held, kept = rows[order[:QUERIES]], rows[order[QUERIES:]]
    parts = {"texts": measured(kept, held)}
    print(parts["texts"], flush=True)
    parts["spread"] = measured(spread(kept, args.count, 1), spread(kept, QUERIES, 2))
    print(parts["spread"], flush=True)
    result = {
        "kind": "search",
        "parts": parts,
        "data": args.texts.parent.name,
        "threads": faiss.omp_get_max_threads(),
        "seed": "0 for held-out texts and centres, 1 and 2 for the spread",
    }
    keep(result, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
