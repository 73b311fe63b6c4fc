"""Scored pairs: two sentences and a human similarity score. Standard library only."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from sempa.data.rows import Row, read_rows, subsample, texts_of
from sempa.errors import InputError


@dataclass(frozen=True)
class ScoredPairs:
    """Hold N pairs of sentences and human similarity scores (any scale, higher is more similar)."""

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    scores: tuple[float, ...]

    def subsample(self, limit: int | None) -> Self:
        """Return every n-th pair, so that at most `limit` are left; without a limit, all."""
        first, second = (tuple(subsample(each, limit)) for each in (self.first, self.second))
        return replace(self, first=first, second=second, scores=tuple(subsample(self.scores, limit)))


def read_scored_pairs(path: Path) -> ScoredPairs:
    """Read a table with the columns score, sentence1, sentence2.

    Raises: what `read_rows` and `scored_pairs_from_rows` raise.
    """
    return scored_pairs_from_rows(read_rows(path), f"{path.parent.name}/{path.stem}")


def scored_pairs_from_rows(rows: Iterable[Row], name: str) -> ScoredPairs:
    """Return the scored pairs of rows with score, sentence1, sentence2; `name` names the source in errors.

    Raises: InputError on other columns, an empty source, a row without its sentences or a score that is not a number.
    """
    numbers_as_text = ({**row, "score": str(row["score"])} if "score" in row else row for row in rows)
    cells = list(texts_of(numbers_as_text, ("score", "sentence1", "sentence2"), name))
    if not cells:
        raise InputError(f"{name} contains no scored pairs.")
    scores, first, second = zip(*cells, strict=True)
    return ScoredPairs(name, first, second, tuple(_score(s, f"{name} row {n}") for n, s in enumerate(scores, start=1)))


def _score(text: str, where: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"{where} has the score {text!r}, which is not a number.")
    return score
