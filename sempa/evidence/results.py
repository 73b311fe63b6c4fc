"""Measured results as JSON files: written by `python -m sempa evaluate`, read by README's tables and the app."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from sempa.errors import StorageError

STS_KIND, GENERATION_KIND = "sts", "generation"
MARK, END_MARK = "<!-- results -->", "<!-- /results -->"


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
    return ResultTable(head, rows, f"{measure}. {result['hardware']}; {result['precision']}; {result['date']}.")


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


def _generation_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]], str]:
    rows = []
    for task, figures in result["tasks"].items():
        scores = [f"{figures[variant]['figure']:.2f}" for variant in result["recipes"]]
        change = figures.get("change")
        p = [f"{change['p']:.2g}"] if change else []
        rows.append([f"{task}, {figures['measure']}", f"{figures['items']:,}", *scores, *_change(figures), *p])
    compared = ["better by (95 % interval)", "p"] if len(result["recipes"]) == 2 else []
    return ["task", "items", *_names(result), *compared], rows, "Tasks of EleutherAI's lm-evaluation-harness"


_TABLES = {STS_KIND: _sts_table, GENERATION_KIND: _generation_table}


def _names(result: Mapping[str, Any]) -> list[str]:
    return [result.get("adapter") or variant if variant == "sempa" else variant for variant in result["recipes"]]


def _change(figures: Mapping[str, Any]) -> list[str]:
    if (change := figures.get("change")) is None:
        return []
    moved = change["spearman"] if "spearman" in change else change["figure"]
    return [f"{moved:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})"]


def with_tables(document: str, folder: Path) -> str:
    """Return a Markdown document with the tables between its two `results` marks drawn anew from a folder."""
    before, rest = document.split(MARK, 1)
    _, after = rest.split(END_MARK, 1)
    tables = "\n\n".join(result_table(result).markdown for result in read_results(folder))
    return f"{before}{MARK}\n{tables}\n{END_MARK}{after}"


def sts_payload(sets: Mapping[str, Mapping[str, Any]], text: str) -> dict[str, Any]:
    """Return an STS evaluation's part of the JSON object; `text` says in words which text was fed."""
    return {
        "kind": STS_KIND,
        "text": text,
        "measure": "Spearman x100 of cosines, all pairs of a set at once",
        "sets": dict(sets),
    }


def generation_payload(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a generation evaluation's part of the JSON object."""
    return {
        "kind": GENERATION_KIND,
        "measure": "the tasks of EleutherAI's lm-evaluation-harness; positive changes are for the better",
        "tasks": dict(tasks),
    }


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


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Return every result in a folder that has a table, in the order of file names, STS before generation."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [result for kind in _TABLES for result in results if result.get("kind") == kind]
