"""Measured results as JSON files: written by `python -m sempa evaluate`, read by README's tables and the app."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sempa.config import EncoderConfig
from sempa.errors import StorageError

STS_KIND = "sts"


@dataclass(frozen=True)
class StsResult:
    """Hold one evaluation: for each set its pairs and each model's Spearman x100, and how they were measured."""

    text: str
    base_model: str
    adapter: str | None
    reading: str
    sets: Mapping[str, Mapping[str, Any]]
    about: Mapping[str, Any]

    @property
    def mean(self) -> dict[str, float]:
        """Return each model's mean over the test sets (development sets left out)."""
        tests = [figures for name, figures in self.sets.items() if not name.endswith(("dev", "train"))]
        models = [name for name in ("base", "sempa") if tests and name in tests[0]]
        return {name: sum(figures[name]["spearman"] for figures in tests) / len(tests) for name in models}


def sts_payload(
    sets: Mapping[str, Mapping[str, Any]], text: str, recipes: Mapping[str, EncoderConfig], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the JSON object of an STS evaluation; `text` says in words which text was fed."""
    return {
        "kind": STS_KIND,
        "text": text,
        "measure": "Spearman x100 of cosines, all pairs of a set at once",
        "recipes": {name: asdict(recipe) for name, recipe in recipes.items()},
        "sets": dict(sets),
        **about,
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
    payloads = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [_sts_result(payload) for payload in payloads if payload.get("kind") == STS_KIND]


def _sts_result(payload: Mapping[str, Any]) -> StsResult:
    recipes = payload["recipes"]
    base, last = recipes["base"], recipes.get("sempa", recipes["base"])
    reading = f"{base['template']}, layer {base['layer']}, {base['pooling']} token"
    if base["postprocess"]:
        reading += ", post-processed"
    about = {key: payload.get(key) for key in ("hardware", "versions", "date", "seed", "precision", "command")}
    return StsResult(payload["text"], base["base_model"], last["adapter"], reading, payload["sets"], about)
