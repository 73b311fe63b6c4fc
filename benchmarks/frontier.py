"""Measure what sparse codes retain of dense vectors and what they cost: similarity, search, memory and time by k.

`python benchmarks/frontier.py adapters/sempa-dpo adapters/sempa-contrastive --pairs stsb-test.tsv --retrieval COCO
--json results/frontier.json --figure docs/frontier.png` encodes pairs and captions once per model, then codes the
vectors by words and by learned features for each k. At `--count` texts (the captions' vectors and codes, repeated),
exact dense search and sparse search take turns; these figures go to a second JSON, with `-speed` in its name. Codes
come from `python -m sempa sparse fit`.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from scipy.sparse import diags_array
from shared import keep

from sempa.config import DEFAULT_BASE, FEATURES, WORDS, EncoderConfig
from sempa.data.scored_pairs import ScoredPairs, read_scored_pairs
from sempa.embedding.encoder import Encoder, Rows
from sempa.embedding.inverted import Codes
from sempa.evaluation.geometry import isotropy, uniformity
from sempa.evaluation.metrics import spearman
from sempa.evaluation.result_cache import cached_rows
from sempa.evaluation.retrieval import RetrievalSet, outcomes, ranked, read_beir
from sempa.models.pair import BASE, SEMPA, ModelPair
from sempa.sparse.coders import Coder, load_coders

KS = (8, 16, 32, 64, 128)
TIMED, ROUNDS = (16, 32), 5
QUERIES, K = 100, 10
SPREAD = 10
"""Uniformity of the dense vectors is measured on every n-th caption."""


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("adapters", nargs="+", help="folders with codes beside the weights")
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--pairs", type=Path, required=True, help="scored pairs")
    made.add_argument("--text", default="as the file gives it", help="how the pairs' text was prepared, in words")
    made.add_argument("--retrieval", type=Path, required=True, help="folder in BEIR's layout")
    made.add_argument("--count", type=int, default=1_000_000, help="texts to time search at (default: %(default)s)")
    made.add_argument("--json", type=Path, required=True)
    made.add_argument("--figure", type=Path, help="draw the curves here (PNG)")
    return made


def kept(codes: Any, k: int) -> Any:
    """Return (N, H) codes with each row's k largest entries only, rescaled to unit length, as a coder gives for k."""
    out = codes.copy()
    for start, end in pairwise(codes.indptr.tolist()):
        if end - start > k:
            out.data[start + np.argpartition(codes.data[start:end], -k)[: end - start - k]] = 0
    out.eliminate_zeros()
    norms = np.sqrt(out.multiply(out).sum(axis=1))
    return diags_array(1 / np.maximum(np.asarray(norms).ravel(), 1e-12), dtype=np.float32) @ out


class Texts:
    """Hold one model's vectors of the pairs, and of the texts and queries for search."""

    def __init__(self, encoder: Encoder, variant: str, pairs: ScoredPairs, data: RetrievalSet) -> None:
        def read(texts: list[str]) -> Rows:
            return cached_rows(encoder, variant, texts, lambda line: print(line, flush=True))

        self.pairs, self.data, self._variant = pairs, data, variant
        self.first, self.second = read(list(pairs.first)), read(list(pairs.second))
        self.texts = read(list(data.texts.values()))
        self.queries = read(list(data.queries.values()))

    def dense(self) -> dict[str, Any]:
        """Return the dense vectors' figures."""
        return self._figures((self.first * self.second).sum(axis=1), self.texts, self.queries) | {
            "bytes_a_text": self.texts.itemsize * self.texts.shape[1],
            "uniformity": round(uniformity(self.texts[::SPREAD]), 4),
            "isotropy": round(isotropy(self.texts[::SPREAD]), 4),
        }

    def coded(self, coder: Coder) -> Iterator[dict[str, Any]]:
        """Yield the figures of the vectors' codes for each k."""
        rows = (self.first, self.second, self.texts, self.queries)
        widest = [coder.codes(part, self._variant, max(KS)) for part in rows]
        for k in KS:
            first, second, texts, queried = (kept(codes, k) for codes in widest)
            queries = coder.queries(list(self.data.queries.values()), self.queries, self._variant, k)
            figures = self._figures(np.asarray(first.multiply(second).sum(axis=1)), texts, queries)
            size = round(Codes.of(texts).size / len(self.data.texts), 1)
            yield {"k": k, **figures, "ndcg_queries_as_texts": self._ndcg(texts, queried), "bytes_a_text": size}

    def _figures(self, cosines: Any, texts: Any, queries: Any) -> dict[str, Any]:
        gold = np.asarray(self.pairs.scores, dtype=np.float32)
        return {"spearman": round(spearman(cosines, gold), 2), "ndcg": self._ndcg(texts, queries)}

    def _ndcg(self, texts: Any, queries: Any) -> float:
        return round(100 * float(outcomes(ranked(texts, queries, self.data), self.data)["nDCG@10"].mean()), 2)


def timed(texts: Texts, coder: Coder, count: int) -> dict[str, Any]:
    """Return queries per second and memory of exact dense and sparse search at `count` texts, alternating."""
    copies = -(-count // len(texts.texts))
    places = np.arange(count) % len(texts.texts)
    engine = faiss.IndexFlatIP(texts.texts.shape[1])
    for _ in range(copies):
        engine.add(texts.texts[: min(len(texts.texts), count - engine.ntotal)])
    chosen = np.linspace(0, len(texts.queries) - 1, QUERIES, dtype=int)
    queries = list(texts.data.queries.values())
    queried, sentences = texts.queries[chosen], [queries[place] for place in chosen]
    held = {f"features, k = {k}": (Codes.of(coder.codes(texts.texts, SEMPA, k)[places]), k) for k in TIMED}
    coded = {name: coder.queries(sentences, queried, SEMPA, k) for name, (_, k) in held.items()}
    rates: dict[str, dict[str, list[float]]] = {}

    def note(name: str, how: str, call: Any) -> None:
        started = time.perf_counter()
        call()
        rates.setdefault(name, {}).setdefault(how, []).append(QUERIES / (time.perf_counter() - started))

    for _ in range(ROUNDS):
        note("dense", "one by one", lambda: [engine.search(row[np.newaxis], K) for row in queried])
        note("dense", "together", lambda: engine.search(queried, K))
        for name, (codes, _) in held.items():
            rows = [coded[name][[row]] for row in range(QUERIES)]
            note(name, "one by one", lambda codes=codes, rows=rows: [codes.nearest(row, K) for row in rows])
            note(name, "together", lambda codes=codes, name=name: codes.nearest(coded[name], K))
    sizes = {"dense": engine.ntotal * texts.texts.shape[1] * 4} | {
        name: codes.size for name, (codes, _) in held.items()
    }
    return {
        name: {
            "bytes": sizes[name],
            **{how: {"queries_a_second": _summary(values)} for how, values in found.items()},
        }
        for name, found in rates.items()
    }


def _summary(values: list[float]) -> dict[str, float]:
    low, middle, high = np.percentile(values, [0, 50, 100])
    return {"median": round(middle, 2), "least": round(low, 2), "most": round(high, 2)}


def draw(models: Mapping[str, Any], path: Path) -> None:
    """Plot Spearman and nDCG against bytes per text, one line per model and kind of code.

    Models that differ only in their features share the lines of their vectors and words.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colors = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    for axis, (measure, title) in zip(
        axes, {"spearman": "STS-B test, Spearman x100", "ndcg": "COCO captions, nDCG@10 x100"}.items(), strict=True
    ):
        drawn = []
        for color, (name, model) in zip(colors, models.items(), strict=False):
            kinds = {FEATURES: "-"} if model["dense"] in drawn else {FEATURES: "-", WORDS: "--"}
            if WORDS in kinds:
                axis.axhline(model["dense"][measure], color=color, linewidth=1, linestyle=":")
                drawn.append(model["dense"])
            for kind, style in kinds.items():
                line = [code for code in model["codes"] if code["coder"] == kind]
                xs, ys = [code["bytes_a_text"] for code in line], [code[measure] for code in line]
                axis.plot(xs, ys, style, color=color, marker="o", markersize=3.5, label=f"{name}, {kind}")
                for code in line if kind == FEATURES else ():
                    axis.annotate(f"{code['k']}", (code["bytes_a_text"], code[measure]), fontsize=6, color=color)
        axis.set(title=title, xlabel="bytes per text (dotted: dense vectors, 2,304)", xscale="log")
        axis.set_xticks(ticks := (50, 100, 200, 400), [str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.25)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=130)


def main() -> int:
    """Encode, code, time, plot and write."""
    args = parser().parse_args()
    pairs, data = read_scored_pairs(args.pairs), read_beir(args.retrieval)
    first = ModelPair.open(args.base, args.adapters[0]).for_inference()
    opened = [first, *map(first.with_adapter, args.adapters[1:])]
    models: dict[str, Any] = {}
    speed: dict[str, Any] = {}
    for pair in opened:
        coders = load_coders(pair)
        assert coders, f"there are no codes beside {pair.adapter.folder}: fit them"
        for variant in (BASE, SEMPA):
            name = BASE if variant == BASE else pair.adapter.name
            if name in models:
                continue
            texts = Texts(Encoder(pair, EncoderConfig()), variant, pairs, data)
            codes = [{"coder": kind, **figures} for kind, coder in coders.items() for figures in texts.coded(coder)]
            models[name] = {"dense": texts.dense(), "codes": codes}
            print(name, models[name], flush=True)
            if variant == SEMPA and not speed and args.count:
                speed = {"model": name, "texts": args.count, "rates": timed(texts, coders[FEATURES], args.count)}
                print(speed, flush=True)
    if args.figure:
        draw(models, args.figure)
    result = {
        "kind": "frontier",
        "text": args.text,
        "pairs": args.pairs.stem,
        "retrieval": data.name,
        "models": models,
        "adapters": {pair.adapter.name: pair.adapter.sha256 for pair in opened},
        "precision": str(first.info.precision),
    }
    keep(result, args.json)
    if speed:
        speed |= {"kind": "sparse-search", "queries": QUERIES, "threads": faiss.omp_get_max_threads()}
        keep(speed, args.json.with_stem(f"{args.json.stem}-speed"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
