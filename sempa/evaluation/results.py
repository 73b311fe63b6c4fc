"""Measured results as JSON files: written by `python -m sempa evaluate`, read by README's tables and the app."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sempa.errors import InputError
from sempa.files import atomic_file

STS_KIND, BASELINES_KIND, PAIRED_KIND, GEOMETRY_KIND, TOKENS_KIND = "sts", "baselines", "paired", "geometry", "tokens"
FRONTIER_KIND = "frontier"
EVALUATIONS = (STS_KIND, BASELINES_KIND, PAIRED_KIND, GEOMETRY_KIND, TOKENS_KIND)


def is_of(result: Mapping[str, Any], base: str, adapter: str | None) -> bool:
    """Return whether a result is of a base model, by name, and an adapter, by SHA-256 (None: of the base alone)."""
    tuned = [recipe for variant, recipe in result["recipes"].items() if variant != "base"]
    adapters = [recipe["adapter"] for recipe in (*tuned, *result.get("also", {}).values())]
    return bool(result["recipes"]["base"]["base_model"] == base and adapter in (adapters or [None]))


def write_result(payload: Mapping[str, Any], path: Path) -> None:
    """Write a result whole, in place of what was there.

    Raises: StorageError if the disk refuses.
    """
    with atomic_file(path, "The result") as aside:
        aside.write_text(json.dumps(payload, indent=2) + "\n", encoding="utf-8")


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


def read_result(path: Path) -> dict[str, Any]:
    """Return one result.

    Raises: InputError if it is not there.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"There is no result {path}: measure it, or leave it out.") from None


def read_results(folder: Path, kinds: Sequence[str] = EVALUATIONS) -> list[dict[str, Any]]:
    """Return every result of some kinds in a folder: kind by kind, in the order of file names."""
    results = [read_result(path) for path in sorted(folder.glob("*.json"))]
    return [result for kind in kinds for result in results if result.get("kind") == kind]
