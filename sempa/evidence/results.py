"""Measured results as JSON files: written by `python -m sempa evaluate`, read by README's tables and the app."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sempa.errors import StorageError

STS_KIND, GENERATION_KIND = "sts", "generation"
MARK, END_MARK = "<!-- results -->", "<!-- /results -->"


@dataclass(frozen=True)
class StsResult:
    """Hold one evaluation: for each set its pairs and each model's Spearman x100, and how they were measured."""

    text: str
    base_model: str
    adapter: str | None
    adapter_name: str
    reading: str
    sets: Mapping[str, Mapping[str, Any]]
    about: Mapping[str, Any]

    @property
    def models(self) -> list[str]:
        """Return the models measured, base first."""
        return [name for name in ("base", "sempa") if name in next(iter(self.sets.values()))]

    @property
    def mean(self) -> dict[str, float]:
        """Return each model's mean over the test sets (development sets left out unless there is nothing else)."""
        tests = [figures for name, figures in self.sets.items() if not name.endswith(("dev", "train"))]
        tests = tests or list(self.sets.values())
        return {name: sum(figures[name]["spearman"] for figures in tests) / len(tests) for name in self.models}


def table_rows(result: StsResult) -> list[tuple[str, list[str]]]:
    """Return the rows every table of a result shows: each set and the mean, both models, the change."""
    rows = []
    for name, figures in result.sets.items():
        cells = [f"{figures[model]['spearman']:.2f}" for model in result.models]
        if change := figures.get("change"):
            cells.append(f"{change['spearman']:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})")
        rows.append((name, cells))
    means = [result.mean[model] for model in result.models]
    change_of_means = [f"{means[1] - means[0]:+.2f}"] if len(means) == 2 else []
    rows.append(("mean without dev", [f"{mean:.2f}" for mean in means] + change_of_means))
    return rows


def markdown_table(result: StsResult) -> str:
    """Return one result as a Markdown table with its circumstances beneath."""
    names = result.models
    rows = [[name, *cells] for name, cells in table_rows(result)]
    named = [result.adapter_name if name == "sempa" else name for name in names]
    head = [result.text, *named, *(["change (95 % interval)"] if len(names) == 2 else [])]
    return _markdown(head, rows, "Spearman x100. ", result.about)


def generation_table(payload: Mapping[str, Any]) -> str:
    """Return a generation evaluation as a Markdown table: each task, both models, the change with interval and test."""
    rows = []
    for task, figures in payload["tasks"].items():
        change = figures["change"]
        rows.append(
            [
                f"{task}, {figures['measure']}",
                f"{figures['items']:,}",
                *(f"{figures[name]['figure']:.2f}" for name in ("base", "sempa")),
                f"{change['figure']:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})",
                f"{change['p']:.2g}",
            ]
        )
    head = ["task", "items", "base", payload.get("adapter") or "sempa", "better by (95 % interval)", "p"]
    return _markdown(head, rows, "", payload)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]], measure: str, about: Mapping[str, Any]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([*lines, f"\n{measure}{about['hardware']}; {about['precision']}; {about['date']}."])


def with_tables(document: str, folder: Path) -> str:
    """Return a Markdown document with the tables between its two `results` marks drawn anew from a folder."""
    before, rest = document.split(MARK, 1)
    _, after = rest.split(END_MARK, 1)
    tables = "\n\n".join(
        [*map(markdown_table, read_sts_results(folder)), *map(generation_table, _payloads(folder, GENERATION_KIND))]
    )
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


def read_sts_results(folder: Path) -> list[StsResult]:
    """Return every STS result in a folder, in the order of file names."""
    return [_sts_result(payload) for payload in _payloads(folder, STS_KIND)]


def _payloads(folder: Path, kind: str) -> list[dict[str, Any]]:
    payloads = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [payload for payload in payloads if payload.get("kind") == kind]


def _sts_result(payload: Mapping[str, Any]) -> StsResult:
    recipes = payload["recipes"]
    base, last = recipes["base"], recipes.get("sempa", recipes["base"])
    reading = f"{base['template']}, layer {base['layer']}, {base['pooling']} token"
    if base["postprocess"]:
        reading += ", post-processed"
    about = {key: payload.get(key) for key in ("hardware", "versions", "date", "seed", "precision", "command")}
    name = payload.get("adapter") or "sempa"
    return StsResult(payload["text"], base["base_model"], last["adapter"], name, reading, payload["sets"], about)
