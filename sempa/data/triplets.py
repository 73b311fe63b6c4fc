"""NLI triplets: read, checked, counted. Standard library only."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sempa.data.rows import Row, read_rows, texts_of
from sempa.errors import InputError

COLUMN_SETS = (
    ("sent0", "sent1", "hard_neg"),
    ("anchor", "positive", "negative"),
    ("anchor", "entailment", "contradiction"),
)
"""Names of the three columns: SimCSE's, sentence-transformers/all-nli's, and plain ones."""


SAMPLE_TRIPLETS = Path(__file__).with_name("sample_triplets.csv")
"""Triplets written for this project, so that `python train.py` works without any download."""


@dataclass(frozen=True)
class Triplet:
    """An anchor, a sentence that follows from it, one that contradicts it, and perhaps a neutral one and an edit.

    The edit shares most words with the anchor and means something else.
    """

    anchor: str
    entailment: str
    contradiction: str
    neutral: str | None = None
    edit: str | None = None


@dataclass
class TripletReport:
    """Count rows used, and rows skipped by reason."""

    used: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def leave_out(self, count: int, reason: str) -> None:
        """Move triplets from used to skipped."""
        if count:
            self.skipped[reason] += count
            self.used -= count

    def __str__(self) -> str:
        if not self.skipped:
            return f"{self.used:,} triplets"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.most_common())
        return f"{self.used:,} triplets; skipped {sum(self.skipped.values()):,} rows: {reasons}"


def read_triplets(path: Path) -> tuple[list[Triplet], TripletReport]:
    """Read triplets from a table with the columns of COLUMN_SETS, in file order.

    Raises: what `read_rows` and `triplets_from_rows` raise.
    """
    return triplets_from_rows(read_rows(path), str(path))


def triplets_from_rows(rows: Iterable[Row], where: str) -> tuple[list[Triplet], TripletReport]:
    """Turn rows into triplets; `where` names the source in errors.

    A column `edit` may have an edit of the anchor; empty cells are allowed. Rows without three usable sentences are
    counted by reason, never fatal.
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
        anchor, entailment, contradiction = (str(sentence).strip() for sentence in sentences)
        edit = str(row.get("edit") or "").strip()
        triplets.append(Triplet(anchor, entailment, contradiction, edit=edit or None))
    report.used = len(triplets)
    if not triplets:
        raise InputError(f"{where} has no usable triplets ({report}).")
    return triplets, report


def _columns_of(row: Row, where: str) -> tuple[str, str, str]:
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
    """Read a table with the columns premise, neutral; return the first neutral sentence of each premise.

    Rows without a neutral cell are skipped.
    Raises: InputError on other columns; what `read_rows` raises.
    """
    neutrals: dict[str, str] = {}
    complete = (row for row in read_rows(path) if row.get("neutral", "") is not None)
    for premise, neutral in texts_of(complete, ("premise", "neutral"), str(path)):
        neutrals.setdefault(premise.strip(), neutral.strip())
    return neutrals


def with_neutrals(triplets: Iterable[Triplet], neutrals: Mapping[str, str]) -> list[Triplet]:
    """Return the triplets with their neutral sentence; those without one unlike the other two are dropped."""
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
        raise InputError("Training needs at least two different anchors, because one is held out.")
    random.Random(seed).shuffle(anchors)
    held = set(anchors[: max(1, min(most, int(len(anchors) * share)))])
    return [t for t in triplets if t.anchor not in held], [t for t in triplets if t.anchor in held]
