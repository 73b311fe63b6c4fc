"""Semantic textual similarity: read scored pairs, correlate a model's cosines with people's scores."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sempa.errors import InputError
from sempa.evidence.metrics import paired_cosines, spearman

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Turns N sentences into (N, D) unit rows."""


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

    Raises: InputError on other columns, an empty source or a score that is no number.
    """
    first, second, scores = [], [], []
    for row in rows:
        if missing := {"score", "sentence1", "sentence2"} - set(row):
            raise InputError(f"{name} lacks the columns {', '.join(sorted(missing))}.")
        try:
            scores.append(float(str(row["score"])))
        except ValueError:
            raise InputError(f"{name} row {len(scores) + 1} has the score {row['score']!r}, not a number.") from None
        first.append(str(row["sentence1"]))
        second.append(str(row["sentence2"]))
    if not scores:
        raise InputError(f"{name} holds no scored pair.")
    return ScoredPairs(name, tuple(first), tuple(second), tuple(scores))


def sts_spearman(encode: Encode, pairs: ScoredPairs) -> float:
    """Return Spearman x100 of the cosines with the scores over all pairs at once ("all", not a mean of subsets).

    Every sentence is encoded once. Source: Gao et al. 2021, appendix B.
    """
    unique = list(dict.fromkeys((*pairs.first, *pairs.second)))
    rows = dict(zip(unique, encode(unique), strict=True))
    cosines = paired_cosines(
        np.stack([rows[sentence] for sentence in pairs.first]), np.stack([rows[sentence] for sentence in pairs.second])
    )
    return spearman(cosines, np.asarray(pairs.scores, dtype=np.float32))
