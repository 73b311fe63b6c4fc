"""NLI triplets: read, checked, counted. Standard library only."""

import csv
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sempa.errors import InputError

COLUMN_SETS = (
    ("sent0", "sent1", "hard_neg"),
    ("anchor", "positive", "negative"),
    ("anchor", "entailment", "contradiction"),
)
"""Names of the three columns: SimCSE's, sentence-transformers/all-nli's, and in words."""


SAMPLE_TRIPLETS = Path(__file__).with_name("sample_triplets.csv")
"""Triplets written for this project, so that `python train.py` works without any download."""


@dataclass(frozen=True)
class Triplet:
    """Hold an anchor, a sentence that follows from it, one that contradicts it, and perhaps one that does neither."""

    anchor: str
    entailment: str
    contradiction: str
    neutral: str | None = None


@dataclass
class TripletReport:
    """Count what was read: rows used, and rows skipped by reason."""

    used: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def leave_out(self, count: int, reason: str) -> None:
        """Count triplets as skipped that were used until now."""
        if count:
            self.skipped[reason] += count
            self.used -= count

    def __str__(self) -> str:
        if not self.skipped:
            return f"{self.used:,} triplets"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.most_common())
        return f"{self.used:,} triplets; skipped {sum(self.skipped.values()):,} rows: {reasons}"


def read_triplets(path: Path) -> tuple[list[Triplet], TripletReport]:
    """Read triplets from a CSV (RFC 4180) or JSONL file with the columns of COLUMN_SETS, in file order.

    Sentences such as "None" or "NA" are sentences. Unusable rows are counted by reason, never fatal.
    Raises: InputError if the file is missing, not text, has other columns, or holds no usable row.
    """
    if not path.is_file():
        raise InputError(f"The triplet file {path} does not exist: check the path given to --data.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = _jsonl_rows(stream, path) if path.suffix in (".jsonl", ".json") else csv.DictReader(stream)
            return triplets_from_rows(rows, str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}): --data needs a CSV or JSONL file.") from error
    except csv.Error as error:
        raise InputError(f"{path} is not a readable CSV file ({error}): --data needs CSV or JSONL.") from error


def _jsonl_rows(lines: Iterable[str], path: Path) -> Iterator[Mapping[str, object]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path} line {number} is not JSON ({error}): each line must be one object.") from error
        if not isinstance(row, dict):
            raise InputError(f"{path} line {number} is not an object: each line needs three named sentences.")
        yield row


def triplets_from_rows(rows: Iterable[Mapping[str, object]], where: str) -> tuple[list[Triplet], TripletReport]:
    """Turn rows of any mapping into triplets; `where` names the source in errors.

    Raises: InputError on other columns, or when no row is usable.
    """
    triplets: list[Triplet] = []
    report = TripletReport()
    columns: tuple[str, str, str] | None = None
    for row in rows:
        columns = columns or _columns_of(row, where)
        sentences = [row.get(name) for name in columns]
        if reason := _reason_to_skip(sentences):
            report.skipped[reason] += 1
            continue
        triplets.append(Triplet(*(str(sentence).strip() for sentence in sentences)))
    report.used = len(triplets)
    if not triplets:
        raise InputError(f"{where} has no usable triplet ({report}).")
    return triplets, report


def _columns_of(row: Mapping[str, object], where: str) -> tuple[str, str, str]:
    for names in COLUMN_SETS:
        if all(name in row for name in names):
            return names
    found = ", ".join(str(name) for name in row) or "none"
    wanted = " or ".join("/".join(names) for names in COLUMN_SETS)
    raise InputError(f"{where} has the columns {found[:200]}, but triplets need {wanted}.")


def _reason_to_skip(sentences: list[object]) -> str | None:
    if any(sentence is None for sentence in sentences):
        return "with a missing column"
    if any(not isinstance(sentence, str) for sentence in sentences):
        return "with a value that is not text"
    anchor, entailment, contradiction = (str(sentence).strip() for sentence in sentences)
    if not (anchor and entailment and contradiction):
        return "with an empty sentence"
    if entailment == contradiction:
        return "whose entailment equals the contradiction"
    return None


def read_neutrals(path: Path) -> dict[str, str]:
    """Read a CSV (RFC 4180) with the columns premise, neutral; return the first neutral sentence of each premise.

    Raises: InputError if the file is missing, not text or has other columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            neutrals: dict[str, str] = {}
            for row in csv.DictReader(stream):
                if row["neutral"] is not None:  # a row cut short
                    neutrals.setdefault(row["premise"].strip(), row["neutral"].strip())
            return neutrals
    except KeyError as error:
        raise InputError(f"{path} has no column {error}: --neutrals needs premise and neutral.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The file of neutral sentences {path} cannot be read ({error}).") from error


def with_neutrals(triplets: Iterable[Triplet], neutrals: Mapping[str, str]) -> list[Triplet]:
    """Return the triplets whose anchor has a neutral sentence unlike the other two, with that sentence."""
    found = ((triplet, neutrals.get(triplet.anchor)) for triplet in triplets)
    return [replace(t, neutral=n) for t, n in found if n and n not in (t.entailment, t.contradiction)]


def split_held_out(
    triplets: list[Triplet], seed: int, share: float = 0.1, most: int = 500
) -> tuple[list[Triplet], list[Triplet]]:
    """Shuffle by seed and split off a held-out part: `share` of the rows, at most `most`, at least 1.

    Triplets with the same anchor stay on one side. Raises: InputError with fewer than two anchors.
    """
    anchors = sorted({triplet.anchor for triplet in triplets})
    if len(anchors) < 2:
        raise InputError("Training needs triplets of at least two different anchors, to hold one out.")
    random.Random(seed).shuffle(anchors)
    held = set(anchors[: max(1, min(most, int(len(anchors) * share)))])
    return [t for t in triplets if t.anchor not in held], [t for t in triplets if t.anchor in held]
