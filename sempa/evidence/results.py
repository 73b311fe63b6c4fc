"""Measured results as JSON files: written by `python -m sempa evaluate`, read by README's tables and the app."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from sempa.errors import StorageError

STS_KIND, PEERS_KIND, PAIRED_KIND, GEOMETRY_KIND, TOKENS_KIND = "sts", "peers", "paired", "geometry", "tokens"
EVALUATIONS = (STS_KIND, PEERS_KIND, PAIRED_KIND, GEOMETRY_KIND, TOKENS_KIND)
MARKED = re.compile(r"(<!-- results: ([a-z, -]+) -->\n).*?(<!-- /results -->)", re.DOTALL)
"""A part of a document that is drawn from the results of the kinds named."""


@dataclass(frozen=True)
class ResultTable:
    """Hold a measured result as every face shows it: a head, rows of as many cells, and how it was measured."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    about: str

    @property
    def markdown(self) -> str:
        """Return the table in Markdown, how it was measured beneath."""
        lines = [f"| {' | '.join(row)} |" for row in (self.head, ["---"] * len(self.head), *self.rows)]
        return "\n".join([*lines, "", self.about])


def result_table(result: Mapping[str, Any]) -> ResultTable:
    """Return a result read from JSON as a table."""
    head, rows, measure = _TABLES[result["kind"]](result)
    where = [result[key] for key in ("hardware", "precision", "date") if result.get(key)]
    return ResultTable(head, rows, f"{measure}. {'; '.join(where)}.")


def measured_models(result: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the base model's name and the adapter's SHA-256 (None: the base alone) of a result."""
    recipes = result["recipes"]
    return recipes["base"]["base_model"], recipes.get("sempa", recipes["base"])["adapter"]


def mean_score(sets: Mapping[str, Mapping[str, Any]], variant: str) -> float:
    """Return a model's mean Spearman over the test sets (development sets left out unless there is nothing else)."""
    tests = [figures for name, figures in sets.items() if not name.endswith(("dev", "train"))]
    return fmean(figures[variant]["spearman"] for figures in tests or sets.values())


def _sts_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]], str]:
    sets, variants = result["sets"], list(result["recipes"])
    rows = [
        [name, *(f"{figures[variant]['spearman']:.2f}" for variant in variants), *_change(figures)]
        for name, figures in sets.items()
    ]
    means = [mean_score(sets, variant) for variant in variants]
    moved = [f"{means[1] - means[0]:+.2f}"] if len(means) == 2 else []
    rows.append(["mean without dev", *(f"{mean:.2f}" for mean in means), *moved])
    head = [result["text"], *_names(result), *(["change (95 % interval)"] if moved else [])]
    recipe = result["recipes"]["base"]
    reading = f"read by {recipe['template']}, layer {recipe['layer']}, {recipe['pooling']} token"
    return head, rows, f"Spearman x100, {reading}" + (", post-processed" if recipe["postprocess"] else "")


def _peers_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]], str]:
    sets = list(next(iter(result["ways"].values())))
    tests = [name for name in sets if not name.endswith(("dev", "train"))] or sets
    means = {way: fmean(found[name] for name in tests) for way, found in result["ways"].items()}
    rows = [
        [way, *(f"{found[name]:.2f}" for name in sets), f"{means[way]:.2f}"] for way, found in result["ways"].items()
    ]
    rows.sort(key=lambda row: means[row[0]])
    return [result["text"], *sets, "mean without dev"], rows, result["measure"]


def _paired_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]], str]:
    rows = []
    for task, figures in result["tasks"].items():
        scores = [f"{figures[variant]['figure']:.2f}" for variant in result["recipes"]]
        change = figures.get("change")
        p = [f"{change['p']:.2g}"] if change else []
        rows.append([f"{task}, {figures['measure']}", f"{figures['items']:,}", *scores, *_change(figures), *p])
    compared = ["better by (95 % interval)", "p"] if len(result["recipes"]) == 2 else []
    return ["task", "items", *_names(result), *compared], rows, result["measure"]


def _memory_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]], str]:
    rows = []
    for base in result["bases"]:
        held = base["bytes"]
        besides = held["adapter_gradients_adam"] + held["activations"]
        sizes = [held["weights_bfloat16"], held["weights_four_bits"], besides]
        totals = [held["weights_bfloat16"] + besides, held["weights_four_bits"] + besides]
        minutes = 10_000 / base["pairs_a_second"] / 60
        rows.append([base["base"], *(f"{size / 1e9:.1f} GB" for size in (*sizes, *totals)), f"{minutes:.1f} min"])
    head = ["base", "weights", "in four bits", "all else", "total", "total in four bits", "10,000 pairs"]
    gpu = result["gpu"]
    share = f"{gpu['share_assumed']:.0%}".replace("%", " %")
    time = f"time: operations at {share} of an {gpu['name']}'s {gpu['operations_a_second'] / 1e12:.0f} TFLOP/s"
    return head, rows, f"Computed, not measured ({time}), for steps of {result['config']['token_cap']} tokens"


def _speed_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]], str]:
    speed, peak, ratio = result["pairs_a_second"], result["peak_bytes"], result["ratio"]
    rows = [
        [name, f"{speed[side]:.2f}", f"{peak[side] / 2**30:.1f} GiB"]
        for side, name in (("ours", "train.py"), ("trl", f"TRL {result['versions_trl']}, its best setting"))
    ]
    rows.append(["ratio", f"{ratio['median']:.1f} ({ratio['low']:.1f} to {ratio['high']:.1f})", ""])
    best = ", ".join(f"{key} {value}" for key, value in result["trl_setting"].items())
    return ["", "pairs a second", "peak memory"], rows, f"{result['batch_size']} pairs a step; TRL: {best}"


_GEOMETRY = {
    "uniformity": "uniformity (lower: more spread out)",
    "alignment": "distance to the entailment (squared)",
    "distance_to_negative": "distance to the contradiction (squared)",
    "isotropy": "isotropy (higher: directions used evenly)",
    "effective_rank": "effective rank",
    "mean_cosine": "mean cosine of two anchors",
}


def _geometry_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]], str]:
    models = result["models"]
    rows = [[shown, *(f"{found[name]:g}" for found in models.values())] for name, shown in _GEOMETRY.items()]
    count = next(iter(models.values()))["triplets"]
    return [f"{count:,} triplets of {result['data']['name']}", *_names(result)], rows, result["measure"]


def _tokens_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]], str]:
    models = result["models"]
    shown = {"gar": "the same word", "gar_stem": "the same stem"}
    rows = [[words, *(f"{found[name]:.3f}" for found in models.values())] for name, words in shown.items()]
    count = next(iter(models.values()))["sentences"]
    return [f"aligned tokens, {count:,} sentences", *_names(result)], rows, result["measure"]


_TABLES = {
    STS_KIND: _sts_table,
    PEERS_KIND: _peers_table,
    PAIRED_KIND: _paired_table,
    GEOMETRY_KIND: _geometry_table,
    TOKENS_KIND: _tokens_table,
    "memory": _memory_table,
    "train-speed": _speed_table,
}


def _names(result: Mapping[str, Any]) -> list[str]:
    return [result.get("adapter") or variant if variant == "sempa" else variant for variant in result["recipes"]]


def _change(figures: Mapping[str, Any]) -> list[str]:
    if (change := figures.get("change")) is None:
        return []
    moved = change["spearman"] if "spearman" in change else change["figure"]
    return [f"{moved:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})"]


def with_tables(document: str, folder: Path) -> str:
    """Return a Markdown document with the tables between its `results` marks drawn anew from a folder."""

    def drawn(marked: re.Match[str]) -> str:
        kinds = marked[2].split(", ")
        tables = "\n\n".join(result_table(result).markdown for result in read_results(folder, kinds))
        return f"{marked[1]}{tables}\n{marked[3]}"

    return MARKED.sub(drawn, document)


def write_result(payload: Mapping[str, Any], path: Path) -> None:
    """Write a result whole, in place of what was there.

    Raises: StorageError if the disk refuses.
    """
    aside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(payload, indent=2) + "\n", encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise StorageError(f"The result could not be written to {path} ({error.strerror or error}).") from error


class FinishedParts:
    """Keep the finished parts of a measurement in a file beside its output, so that it can go on where it stopped."""

    def __init__(self, output: Path | None, begun: Mapping[str, Any]) -> None:
        """Take up what is kept for `output` if it was begun in just this way; without an output, keep nothing."""
        self._path = output and output.with_name(output.name + ".parts")
        self._begun = json.loads(json.dumps(begun, default=str))
        self._parts: dict[str, dict[str, Any]] = {}
        if self._path and self._path.is_file():
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            if kept["begun"] == self._begun:
                self._parts = kept["parts"]

    def get(self, name: str) -> dict[str, Any] | None:
        """Return a part's figures, None if it is not finished."""
        return self._parts.get(name)

    def add(self, name: str, figures: dict[str, Any]) -> dict[str, Any]:
        """Keep a part's figures and return them."""
        self._parts[name] = figures
        if self._path:
            write_result({"begun": self._begun, "parts": self._parts}, self._path)
        return figures

    def clear(self) -> None:
        """Forget what is kept."""
        if self._path:
            self._path.unlink(missing_ok=True)


def read_results(folder: Path, kinds: Sequence[str] = EVALUATIONS) -> list[dict[str, Any]]:
    """Return every result of some kinds in a folder: kind by kind, in the order of file names."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [result for kind in kinds for result in results if result.get("kind") == kind]
