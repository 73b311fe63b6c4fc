"""Result tables for the app and the docs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
from typing import Any

from sempa.evaluation.results import (
    BASELINES_KIND,
    CONTRAST_KIND,
    GEOMETRY_KIND,
    PAIRED_KIND,
    STS_KIND,
    TOKENS_KIND,
)
from sempa.evaluation.retrieval import RERANKED
from sempa.evaluation.sts import is_test

BY_SCORES = {"preference": "by preference", "both": "by both"}
"""Column heads of the aligned model's scores other than its cosine."""
Table = tuple[list[str], list[list[str]], str]
"""Table head, rows of as many cells, and a note on the measurement."""


@dataclass(frozen=True)
class ResultTable:
    """Hold a result table: head, rows of as many cells, and a note on the measurement."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    about: str

    @property
    def markdown(self) -> str:
        """Return the table in Markdown, with the note on the measurement below."""
        lines = [f"| {' | '.join(row)} |" for row in (self.head, ["---"] * len(self.head), *self.rows)]
        return "\n".join([*lines, "", self.about])


def result_table(
    result: Mapping[str, Any], more: Mapping[str, Callable[..., Table]] = MappingProxyType({})
) -> ResultTable:
    """Return the table of a result read from JSON; `more` has functions for other kinds than those of an evaluation."""
    head, rows, measure = {**_TABLES, **more}[result["kind"]](result)
    where = [result[key] for key in ("hardware", "precision", "date") if result.get(key)]
    return ResultTable(head, rows, f"{measure}. {'; '.join(where)}.")


def mean_score(sets: Mapping[str, Mapping[str, Any]], variant: str) -> float:
    """Return a model's mean Spearman over the test sets (over all sets if none is for testing)."""
    tests = [figures for name, figures in sets.items() if is_test(name)]
    return fmean(figures[variant]["spearman"] for figures in tests or sets.values())


def _sts_table(result: Mapping[str, Any]) -> Table:
    sets, variants = result["sets"], list(result["recipes"])
    scores = [*variants, *(name for name in BY_SCORES if name in next(iter(sets.values())))]
    rows = [
        [name, *(f"{figures[score]['spearman']:.2f}" for score in scores), *_change(figures)]
        for name, figures in sets.items()
    ]
    means = [mean_score(sets, score) for score in scores]
    moved = [f"{means[1] - means[0]:+.2f}"] if len(variants) == 2 else []
    label = "average of test sets" if any(map(is_test, sets)) else "average"
    rows.append([label, *(f"{mean:.2f}" for mean in means), *moved])
    by = [BY_SCORES[name] for name in scores if name in BY_SCORES]
    head = [result["text"], *model_names(result), *by, *(["change (95% interval)"] if moved else [])]
    recipe = result["recipes"]["base"]
    settings = f"template {recipe['template']}, layer {recipe['layer']}, {recipe['pooling']} token"
    corrected = f", {result['postprocess']}" if result.get("postprocess") else ""
    both = f"; both: cosine + {result['weight']:g} x preference" if by else ""
    return head, rows, f"Spearman x100, {settings}{corrected}{both}"


def method_means(result: Mapping[str, Any]) -> dict[str, float]:
    """Return each method's mean score over the test sets (over all sets if none is for testing)."""
    sets = list(next(iter(result["methods"].values())))
    tests = [name for name in sets if is_test(name)] or sets
    return {method: fmean(found[name] for name in tests) for method, found in result["methods"].items()}


def _baselines_table(result: Mapping[str, Any]) -> Table:
    sets, means = list(next(iter(result["methods"].values()))), method_means(result)
    rows = [
        [method, *(f"{found[name]:.2f}" for name in sets), f"{means[method]:.2f}"]
        for method, found in result["methods"].items()
    ]
    rows.sort(key=lambda row: means[row[0]])
    return [result["text"], *sets, "average of test sets"], rows, result["measure"]


def _paired_table(result: Mapping[str, Any]) -> Table:
    rows = []
    again = any("reranked" in figures for figures in result["tasks"].values())
    for task, figures in result["tasks"].items():
        scores = [f"{figures[variant]['figure']:.2f}" for variant in result["recipes"]]
        change = figures.get("change")
        p = [_p_value(change)] if change else []
        data = task.partition(", ")[0]  # a set's other figures follow its name
        rows.append([f"{data}, {figures['measure']}", f"{figures['items']:,}", *scores, *_change(figures), *p])
        if again:
            rows[-1] += [f"{figures['reranked']['figure']:.2f}", *_change(figures["reranked"])]
    compared = ["improvement (95% interval)", "p"] if len(result["recipes"]) == 2 else []
    measure = result["measure"]
    if again:
        compared += ["re-ranked", "improvement (95% interval)"]
        measure += f"; re-ranked: the first {RERANKED} by cosine + {result['weight']:g} x preference"
    return ["task", "items", *model_names(result), *compared], rows, measure


def _contrast_table(result: Mapping[str, Any]) -> Table:
    """Return a row per kind with all intervals; with baselines, a row per method with the interval over all kinds."""
    methods, adapter = result["methods"], result.get("adapter")
    shown = {name: BY_SCORES.get(name) or model_name(name, adapter) for name in methods}
    kinds = {kind: found["items"] for kind, found in methods["base"]["kinds"].items()}
    measure = f"{result['measure']}, with 95% intervals by Wilson; split: {result['split']}"
    if "both" in methods:
        measure += f"; preference: log-ratio of the models; both: cosine + {result['weight']:g} x preference"
    if set(methods) - {*BY_SCORES, "base", "sempa"}:
        head = [f"{result['data']['name']}, {kinds['all']:,} triplets", *kinds]
        return (
            head,
            [
                [shown[name], *(_accuracy(found["kinds"][kind], kind == "all") for kind in kinds)]
                for name, found in methods.items()
            ],
            measure,
        )
    rows = []
    for kind, items in kinds.items():
        each = [found["kinds"][kind] for found in methods.values()]
        change = next((found["change"] for found in each if "change" in found), None)  # the adapter comes first
        moved = [*_change({"change": change}), _p_value(change)] if change else []
        rows.append([kind, f"{items:,}", *(_accuracy(found, True) for found in each), *moved])
    compared = ["improvement (95% interval)", "p"] if "sempa" in methods else []
    return [result["data"]["name"], "triplets", *shown.values(), *compared], rows, measure


def _accuracy(found: Mapping[str, Any], interval: bool) -> str:
    return f"{found['figure']:.1f}" + (f" ({found['low']:.1f} to {found['high']:.1f})" if interval else "")


_GEOMETRY = {
    "uniformity": "uniformity (lower: more spread out)",
    "alignment": "distance to the entailment (squared)",
    "distance_to_negative": "distance to the contradiction (squared)",
    "isotropy": "isotropy (higher: directions used evenly)",
    "effective_rank": "effective rank",
    "mean_cosine": "mean cosine of two anchors",
}


def _geometry_table(result: Mapping[str, Any]) -> Table:
    models = result["models"]
    rows = [[shown, *(f"{found[name]:g}" for found in models.values())] for name, shown in _GEOMETRY.items()]
    count = next(iter(models.values()))["triplets"]
    return [f"{count:,} triplets of {result['data']['name']}", *model_names(result)], rows, result["measure"]


def _tokens_table(result: Mapping[str, Any]) -> Table:
    models = result["models"]
    shown = {"gar": "the same word", "gar_stem": "the same stem"}
    rows = [[words, *(f"{found[name]:.3f}" for found in models.values())] for name, words in shown.items()]
    count = next(iter(models.values()))["sentences"]
    return [f"aligned tokens, {count:,} sentences", *model_names(result)], rows, result["measure"]


_TABLES: dict[str, Callable[..., Table]] = {
    STS_KIND: _sts_table,
    BASELINES_KIND: _baselines_table,
    PAIRED_KIND: _paired_table,
    CONTRAST_KIND: _contrast_table,
    GEOMETRY_KIND: _geometry_table,
    TOKENS_KIND: _tokens_table,
}


def model_name(variant: str, adapter: str | None = None) -> str:
    """Return a model's display name; for the aligned model, the adapter's name or SemPA."""
    return (adapter or "SemPA") if variant == "sempa" else variant


def model_names(result: Mapping[str, Any]) -> list[str]:
    """Return the display names of a result's models."""
    return [model_name(variant, result.get("adapter")) for variant in result["recipes"]]


def _p_value(change: Mapping[str, Any]) -> str:
    return f"{change['p']:.2g}" if change["p"] else "< 1e-300"


def _change(figures: Mapping[str, Any]) -> list[str]:
    if (change := figures.get("change")) is None:
        return []
    moved = change["spearman"] if "spearman" in change else change["figure"]
    return [f"{moved:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})"]
