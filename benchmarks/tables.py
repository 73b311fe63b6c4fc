"""Draw the tables of README and docs from the JSON files in results/: `python benchmarks/tables.py`."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from shared import ROOT
from speed_tables import SPEED_TABLES

from sempa.config import WORDS
from sempa.evaluation.results import read_result
from sempa.evaluation.tables import ResultTable, Table, result_table

MARKED = re.compile(r"(<!-- results: ([a-z0-9, -]+) -->\n).*?(<!-- /results -->)", re.DOTALL)
"""A part of a document generated from result files, named without suffix."""
_LEARNED = {"sts": "STS dev, Spearman x100", "lambada_openai": "LAMBADA (%)", "wikitext": "word perplexity"}
"""Figures shown for every dose and scale."""
WORDS_K = 32
"""The k shown for word codes; learned features are shown for every k."""


def _settings_table(result: Mapping[str, Any]) -> Table:
    rows = []
    for name, model in result["models"].items():
        best = model["best"]
        corrected = f", {best['postprocess']}" if best["postprocess"] else ""
        chosen = f"{best['template']}, layer {best['layer']}{corrected}"
        for settings, found in (("the paper's: prompteol, layer -1", model["paper"]), (f"the best: {chosen}", best)):
            rows.append([name, settings, *(f"{score:.2f}" for score in found["sets"].values()), f"{found['mean']:.2f}"])
    sets = list(next(iter(result["models"].values()))["paper"]["sets"])
    about = "Spearman x100; the best settings are chosen on STS-B dev, their post-processing fitted on"
    return [result["text"], "settings", *sets, "mean"], rows, f"{about} {result['fitted_on']}"


def _seeds_table(result: Mapping[str, Any]) -> Table:
    sets = list(result["base"]["sets"])
    rows = [["base", "", *(f"{result['base']['sets'][name]:.2f}" for name in sets), f"{result['base']['mean']:.2f}"]]
    for name, runs in result["adapters"].items():
        figures = [[run["sets"][one] for run in runs] for one in sets] + [[run["mean"] for run in runs]]
        seeds = ", ".join(str(run["seed"]) for run in runs)
        rows.append([name, seeds, *(f"{fmean(values):.2f} ± {stdev(values):.2f}" for values in figures)])
    about = f"Spearman x100, {result['text']}; mean ± standard deviation over the training seeds"
    return ["", "seeds", *sets, "mean"], rows, about


def _dose_table(result: Mapping[str, Any]) -> Table:
    tasks = [name for name in _LEARNED if name in result["doses"][0]]
    rows = [[dose["run"], f"{dose['samples']:,}", *(f"{dose[task]:.2f}" for task in tasks)] for dose in result["doses"]]
    dev = ", ".join(result["dev"])
    about = f"About {result['items']} items of LAMBADA, {result['pages']} pages of WikiText-2; {dev}"
    if seeds := sorted({dose["seed"] for dose in result["doses"] if "seed" in dose}):
        about += f"; training seed {', '.join(map(str, seeds))}"
    return ["run", "samples", *(_LEARNED[task] for task in tasks)], rows, about


def _scale_table(result: Mapping[str, Any]) -> Table:
    named = _LEARNED | {
        "copies": "copies (%)",
        "meaning": "meaning kept (x100)",
        "new_words": "new words (%)",
        "runs_on": "runs on (%)",
    }
    rows = [
        [f"{float(scale):.0%}", *(f"{found[name]:.2f}" for name in named)] for scale, found in result["scales"].items()
    ]
    sample = f"{result['sentences']} sentences of each file to paraphrase; {', '.join(result['dev'])}"
    about = f"About {result['items']} items of LAMBADA, {result['pages']} pages of WikiText-2, {sample}"
    return [f"scale of {result['adapter']['name']}", *named.values()], rows, about


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


def _campaign_table(result: Mapping[str, Any]) -> Table:
    rows = []
    for name, part in result["parts"].items():
        found = {key: value for key, value in part.items() if key not in ("tried", "of", "seed", "kinds")}
        figures = "; ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in found.items())
        rows.append([name, f"{part['tried']:,}", f"{part['of']:,}", figures])
    seeds = ", ".join(str(seed) for seed in sorted({part["seed"] for part in result["parts"].values()}))
    about = f"On a {result['model']}, seed {seeds}"
    return ["", "tried", "full size", "found"], rows, about


def _plain(value: float | list[float]) -> str:
    return ", ".join(f"{one:,}" for one in (value if isinstance(value, list) else [value]))


def _search_examples(result: Mapping[str, Any]) -> Table:
    models = list(result["of_topic"])
    rows = [
        [row["query"], f"{row['shared']:.0%}", *(f"{row['of_topic'][name]:.0%}" for name in models)]
        for row in result["rows"][: result["chosen"]]
    ]
    means = [f"{result['of_topic'][name]:.0%}" for name in models]
    shared = fmean(row["shared"] for row in result["rows"])
    rows.append([f"average of {len(result['rows'])} queries", f"{shared:.0%}", *means])
    named = [result["adapter"] if name == "sempa" else name for name in models]
    about = f"The {result['k']} nearest demo texts: share common to both models, and share of the query's topic"
    return ["query", "shared", *(f"of the topic, {name}" for name in named)], rows, about


_TABLES: dict[str, Callable[[Mapping[str, Any]], Table]] = {
    "embedding-settings": _settings_table,
    "seeds": _seeds_table,
    "dose": _dose_table,
    "adapter-scale": _scale_table,
    "campaign": _campaign_table,
    "frontier": _frontier,
    "sparse-search": _sparse_search,
    "search-examples": _search_examples,
    **SPEED_TABLES,
}


def drawn_table(result: Mapping[str, Any]) -> ResultTable:
    """Return the table of an evaluation's or a benchmark's result."""
    return result_table(result, _TABLES)


def with_tables(document: str, folder: Path) -> str:
    """Regenerate the tables between the `results` marks of a Markdown document from the files in a folder.

    Raises: InputError for a missing file.
    """

    def drawn(marked: re.Match[str]) -> str:
        results = [read_result(folder / f"{name}.json") for name in named_in(marked[0])]
        tables = "\n\n".join(drawn_table(result).markdown for result in results)
        return f"{marked[1]}{tables}\n{marked[3]}"

    return MARKED.sub(drawn, document)


def named_in(document: str) -> list[str]:
    """Return the result files named in a document's marks."""
    return [name for marked in MARKED.finditer(document) for name in marked[2].split(", ")]


def main() -> None:
    """Draw the tables of every page again."""
    for page in (ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        page.write_text(with_tables(page.read_text(encoding="utf-8"), ROOT / "results"), encoding="utf-8")


if __name__ == "__main__":
    main()
