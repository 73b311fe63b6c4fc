"""Result files in JSON: `python -m sempa evaluate` writes them; README's tables and the app show them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sempa.errors import InputError
from sempa.files import atomic_file

STS_KIND, BASELINES_KIND, PAIRED_KIND, GEOMETRY_KIND, TOKENS_KIND = "sts", "baselines", "paired", "geometry", "tokens"
CONTRAST_KIND = "contrast"
EVALUATIONS = (STS_KIND, CONTRAST_KIND, BASELINES_KIND, PAIRED_KIND, GEOMETRY_KIND, TOKENS_KIND)


def is_of(result: Mapping[str, Any], base: str, adapter: str | None) -> bool:
    """Return whether a result belongs to a base model, by name, and an adapter, by SHA-256 (None: base only)."""
    tuned = [recipe for variant, recipe in result["recipes"].items() if variant != "base"]
    adapters = [recipe["adapter"] for recipe in (*tuned, *result.get("also", {}).values())]
    return bool(result["recipes"]["base"]["base_model"] == base and adapter in (adapters or [None]))


def write_result(payload: Mapping[str, Any], path: Path) -> None:
    """Write a result, replacing the file atomically.

    Raises: StorageError if the disk refuses.
    """
    with atomic_file(path, "The result") as aside:
        aside.write_text(json.dumps(payload, indent=2) + "\n", encoding="utf-8")


def read_result(path: Path) -> dict[str, Any]:
    """Return one result.

    Raises: InputError if it is missing.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"There is no result {path}: measure it, or leave it out.") from None


def read_results(folder: Path, kinds: Sequence[str] = EVALUATIONS) -> list[dict[str, Any]]:
    """Return all results of the given kinds in a folder, by kind and then by file name."""
    results = [read_result(path) for path in sorted(folder.glob("*.json"))]
    return [result for kind in kinds for result in results if result.get("kind") == kind]
