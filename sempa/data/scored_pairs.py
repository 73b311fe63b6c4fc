"""Scored pairs: two sentences and how alike people find them. Standard library only."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sempa.errors import InputError


@dataclass(frozen=True)
class ScoredPairs:
    """Hold N pairs of sentences and people's similarity scores (any scale, higher is more alike)."""

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    scores: tuple[float, ...]


def read_scored_pairs(path: Path) -> ScoredPairs:
    """Read a TSV (unquoted) or CSV (RFC 4180) with the columns score, sentence1, sentence2.

    Raises: InputError if the file is missing, not text, has other columns or a score that is no number.
    """
    if not path.is_file():
        raise InputError(f"The file of scored pairs {path} does not exist.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            unquoted = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            rows = unquoted if path.suffix == ".tsv" else csv.DictReader(stream)
            return scored_pairs_from_rows(rows, f"{path.parent.name}/{path.stem}")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}).") from error
    except csv.Error as error:
        raise InputError(f"{path} is not a readable table ({error}).") from error


def scored_pairs_from_rows(rows: Iterable[Mapping[str, object]], name: str) -> ScoredPairs:
    """Take the columns score, sentence1, sentence2 of any rows; `name` names the source in errors.

    Raises: InputError on other columns, an empty source, a row without its sentences or a score that is no number.
    """
    first, second, scores = [], [], []
    for number, row in enumerate(rows, start=1):
        if missing := {"score", "sentence1", "sentence2"} - set(row):
            raise InputError(f"{name} lacks the columns {', '.join(sorted(missing))}.")
        for column in ("sentence1", "sentence2"):
            if row[column] is None:  # a row that ends early; as text it would be the sentence "None"
                raise InputError(f"{name} row {number} has no {column}.")
        scores.append(_score(row["score"], f"{name} row {number}"))
        first.append(str(row["sentence1"]))
        second.append(str(row["sentence2"]))
    if not scores:
        raise InputError(f"{name} holds no scored pair.")
    return ScoredPairs(name, tuple(first), tuple(second), tuple(scores))


def _score(value: object, where: str) -> float:
    try:
        score = float(str(value))
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"{where} has the score {value!r}, not a number.")
    return score
