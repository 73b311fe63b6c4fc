"""Tables of the sparse code results from `benchmarks/frontier.py`."""

from collections.abc import Callable, Mapping
from typing import Any

from sempa.config import WORDS
from sempa.evaluation.results import FRONTIER_KIND
from sempa.evaluation.speed_tables import Table

WORDS_K = 32
"""The k shown for word codes; learned features are shown for every k."""


def _frontier(result: Mapping[str, Any]) -> Table:
    rows = []
    for name, model in result["models"].items():
        dense = model["dense"]
        figures = [f"{dense[measure]:.2f}" for measure in ("spearman", "ndcg")]
        spread = [f"{dense['uniformity']:.3f}", f"{dense['isotropy']:.3f}"]
        rows.append([name, "dense", "", *figures, "", f"{dense['bytes_a_text']:,}", *spread])
        for code in model["codes"]:
            if code["coder"] == WORDS and code["k"] != WORDS_K:
                continue
            figures = [_beside(code, dense, measure) for measure in ("spearman", "ndcg")]
            size = f"{code['bytes_a_text']:,.0f} ({code['bytes_a_text'] / dense['bytes_a_text']:.1%})"
            as_texts = f"{code['ndcg_queries_as_texts']:.2f}"
            rows.append([name, code["coder"], str(code["k"]), *figures, as_texts, size, "", ""])
    head = ["model", "held as", "k", f"{result['pairs']}, Spearman", f"{result['retrieval']}, nDCG@10"]
    head += ["queries coded as texts", "bytes per text", "uniformity", "isotropy"]
    about = f"x100, share of dense vectors in brackets; {result['pairs']} is {result['text']}"
    return head, rows, about


def _beside(code: Mapping[str, Any], dense: Mapping[str, Any], measure: str) -> str:
    share = code[measure] / dense[measure]
    return f"{code[measure]:.2f} ({share:.1%})"


def _sparse_search(result: Mapping[str, Any]) -> Table:
    rates = result["rates"]
    dense = rates["dense"]
    rows = []
    for name, found in rates.items():
        cells = []
        for how in ("one by one", "together"):
            rate = found[how]["queries_a_second"]["median"]
            ratio = rate / dense[how]["queries_a_second"]["median"]
            cells.append(f"{rate:.1f}" + (f" (x {ratio:.1f})" if name != "dense" else ""))
        share = f"{found['bytes'] / dense['bytes']:.1%}"
        rows.append([name, *cells, f"{found['bytes'] / 2**20:,.0f} MiB", share])
    head = ["held as", "queries per second, one by one", "all at once", "memory", "of dense"]
    about = (
        f"Exact search of {result['texts']:,} texts: the captions' vectors and codes of {result['model']}, repeated; "
        f"{result['queries']} queries, taking turns, {result['threads']} threads"
    )
    return head, rows, about


CODE_TABLES: dict[str, Callable[[Mapping[str, Any]], Table]] = {
    FRONTIER_KIND: _frontier,
    "sparse-search": _sparse_search,
}
"""Table functions by kind of result."""
