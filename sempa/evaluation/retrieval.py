"""Measure retrieval on BEIR folders and labelled texts with trec_eval's own code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sempa.data.rows import read_rows, subsample, texts_of
from sempa.errors import InputError
from sempa.evaluation.statistics import Measure, mean_percent, paired_figures, paired_t
from sempa.models.pair import SEMPA

Rows = Any
"""(N, D) float32 rows, or their sparse codes; scipy ships no types."""
Encode = Callable[[Sequence[str]], NDArray[np.float32]]
DEPTH = 100
"""Texts ranked per query."""
QUERIES_AT_ONCE = 500
RERANKED = 20
"""Texts re-ranked per query."""
Ranking = dict[str, dict[str, float]]
"""Scores by query id and text id, best first."""

MEASURES = {"ndcg_cut_10": "nDCG@10", "recall_10": "recall@10", "recall_100": "recall@100", "recip_rank": "MRR"}
"""trec_eval's names mapped to ours; MRR is over the first DEPTH ranks."""


@dataclass(frozen=True)
class RetrievalSet:
    """Hold texts and queries by id, and each query's relevant texts with their grades."""

    name: str
    texts: Mapping[str, str]
    queries: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, int]]


def read_retrieval(folder: Path, limit: int | None = None) -> RetrievalSet:
    """Read a retrieval set from a BEIR folder or a folder of labelled texts.

    Raises: what `read_beir` and `read_labelled` raise.
    """
    labelled = not (folder / "corpus.jsonl").is_file() and (folder / "train.csv").is_file()
    return read_labelled(folder, limit) if labelled else read_beir(folder, limit=limit)


def read_labelled(folder: Path, limit: int | None = None) -> RetrievalSet:
    """Read train.csv and test.csv (text, category); the training texts of a category are relevant to its test texts.

    A limit takes every n-th test text and all training texts.
    Raises: InputError, naming the file, if one is missing or malformed, or a test category has no training text.
    """
    train, test = (_labelled(folder / f"{split}.csv") for split in ("train", "test"))
    by_category: dict[str, dict[str, int]] = {}
    for number, (_, category) in enumerate(train):
        by_category.setdefault(category, {})[f"train-{number}"] = 1
    kept = subsample(list(enumerate(test)), limit)
    if unknown := next((category for _, (_, category) in kept if category not in by_category), None):
        raise InputError(f"{folder / 'train.csv'} has no text of the category {unknown!r}, which test.csv has.")
    return RetrievalSet(
        folder.name,
        {f"train-{number}": text for number, (text, _) in enumerate(train)},
        {f"test-{number}": text for number, (text, _) in kept},
        {f"test-{number}": by_category[category] for number, (_, category) in kept},
    )


def _labelled(path: Path) -> list[tuple[str, ...]]:
    rows = list(texts_of(read_rows(path), ("text", "category"), str(path)))
    if not rows:
        raise InputError(f"{path} contains no text.")
    return rows


def read_beir(folder: Path, split: str = "test", limit: int | None = None) -> RetrievalSet:
    """Read corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv; a limit takes every n-th judged query and all texts.

    Empty documents, as in FiQA, are dropped.
    Raises: InputError, naming the file, if one is missing or malformed.
    """
    titled = ({**row, "title": row.get("title") or ""} for row in read_rows(folder / "corpus.jsonl"))
    cells = texts_of(titled, ("_id", "title", "text"), str(folder / "corpus.jsonl"))
    texts = {name: text for name, *parts in cells if (text := " ".join(parts).strip())}
    cells = texts_of(read_rows(folder / "queries.jsonl"), ("_id", "text"), str(folder / "queries.jsonl"))
    queries = {name: text for name, *(text,) in cells}
    relevant: dict[str, dict[str, int]] = {}
    path = folder / "qrels" / f"{split}.tsv"
    for query, text, score in texts_of(read_rows(path), ("query-id", "corpus-id", "score"), str(path)):
        try:
            relevant.setdefault(query, {})[text] = int(score)
        except ValueError:
            raise InputError(f"{path} has the score {score!r}, which is not a number.") from None
    judged = [query for query in queries if query in relevant]
    if not judged:
        raise InputError(f"{path} judges none of the queries.")
    kept = subsample(judged, limit)
    return RetrievalSet(folder.name, texts, {q: queries[q] for q in kept}, {q: relevant[q] for q in kept})


@dataclass(frozen=True)
class Rerank:
    """Re-rank each query's first `top` texts by cosine + weight x `score` of query and text."""

    score: Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]
    weight: float
    top: int = RERANKED

    def __call__(self, ranking: Ranking, data: RetrievalSet) -> Ranking:
        """Return the re-ranked ranking, with descending numbers as scores."""
        pairs = [(data.queries[q], data.texts[name]) for q, hits in ranking.items() for name in list(hits)[: self.top]]
        scores = iter(self.score(pairs).tolist())
        found = {}
        for query, hits in ranking.items():
            names = list(hits)
            first = {name: hits[name] + self.weight * next(scores) for name in names[: self.top]}
            order = [*sorted(first, key=lambda name: -first[name]), *names[self.top :]]
            found[query] = {name: float(-place) for place, name in enumerate(order)}
        return found


def retrieval_figures(
    encoders: Mapping[str, Encode], data: RetrievalSet, rerank: Rerank | None = None
) -> dict[str, dict[str, Any]]:
    """Rank all texts by cosine and return each measure's figures (x100) by variant.

    As in BEIR, a text with the query's own id is not a hit. `rerank` adds `reranked`: the aligned model's figure after
    re-ranking, and the change.
    Raises: InputError if pytrec_eval is not installed.
    """
    rankings = {
        name: ranked(encode(list(data.texts.values())), encode(list(data.queries.values())), data)
        for name, encode in encoders.items()
    }
    by_query = {name: outcomes(ranking, data) for name, ranking in rankings.items()}
    after = outcomes(rerank(rankings[SEMPA], data), data) if rerank else {}
    figures = {}
    for shown in MEASURES.values():
        measure = Measure(f"{shown} (x100)", mean_percent, paired_t)
        figures[shown] = paired_figures({name: found[shown] for name, found in by_query.items()}, measure)
        if after:
            moved = paired_figures({"before": by_query[SEMPA][shown], "after": after[shown]}, measure)
            figures[shown]["reranked"] = {**moved["after"], "change": moved["change"]}
    return figures


def outcomes(ranking: Ranking, data: RetrievalSet) -> dict[str, NDArray[np.float64]]:
    """Return each measure (0..1) per query, in order.

    Raises: InputError if pytrec_eval is not installed.
    """
    try:
        import pytrec_eval
    except ImportError:
        raise InputError("Measuring retrieval needs trec_eval: pip install pytrec-eval-terrier.") from None
    evaluator = pytrec_eval.RelevanceEvaluator(data.relevant, {"ndcg_cut.10", "recall.10,100", "recip_rank"})
    found = evaluator.evaluate(ranking)
    return {shown: np.array([found[query][measure] for query in data.queries]) for measure, shown in MEASURES.items()}


def ranked(rows: Rows, queries: Rows, data: RetrievalSet) -> Ranking:
    """Return each query's DEPTH nearest texts by inner product of dense or sparse rows."""
    ids = list(data.texts)
    names = list(data.queries)
    found = {}
    for start in range(0, len(names), QUERIES_AT_ONCE):
        cosines = queries[start : start + QUERIES_AT_ONCE] @ rows.T
        cosines = cosines.toarray() if sparse.issparse(cosines) else cosines
        depth = min(DEPTH + 1, len(ids))
        nearest = np.argpartition(-cosines, depth - 1, axis=1)[:, :depth]
        for name, places, values in zip(names[start:], nearest, cosines, strict=False):
            order = places[np.argsort(-values[places], kind="stable")]
            hits = [(ids[place], float(values[place])) for place in order if ids[place] != name]
            found[name] = dict(hits[:DEPTH])
    return found
