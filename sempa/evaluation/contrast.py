"""Contrast: test whether a model ranks a paraphrase above a small edit that changes the meaning."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from sempa.data.rows import read_rows, texts_of
from sempa.errors import InputError
from sempa.evaluation.metrics import paired_cosines
from sempa.evaluation.statistics import ACCURACY, Outcomes, paired_figures

CONTRAST = Path(__file__).parents[1] / "data" / "contrast.csv"
"""The triplets written for this project."""
ALL = "all"
SPLITS = ("dev", "test", ALL)
MAX_ERRORS = 200
"""Maximum triplets listed where exactly one of two models errs."""

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
Score = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]
"""Scores N pairs of sentences, (N,): higher means more similar."""


@dataclass(frozen=True)
class Contrast:
    """Hold a sentence, a paraphrase in other words, an edit that keeps the words but not the meaning, and its kind."""

    sentence: str
    paraphrase: str
    edit: str
    kind: str


def read_contrast(path: Path = CONTRAST, split: str = "test") -> list[Contrast]:
    """Read a table with the columns sentence, paraphrase, edit, kind and split; split "all" needs no split column.

    Raises: InputError for an unknown split, a table without these columns or a split without triplets.
    """
    if split not in SPLITS:
        raise InputError(f"There is no split {split!r}: choose {', '.join(SPLITS)}.")
    columns = ("sentence", "paraphrase", "edit", "kind", *(() if split == ALL else ("split",)))
    rows = list(texts_of(read_rows(path), columns, str(path)))
    found = [Contrast(*cells[:4]) for cells in rows if split in (ALL, cells[-1])]
    if not found:
        raise InputError(f"{path} contains no triplets of the split {split!r}.")
    return found


def cosine_margins(encode: Encode, triplets: Sequence[Contrast]) -> NDArray[np.float32]:
    """Return cos(sentence, paraphrase) - cos(sentence, edit), (N,); each text is encoded once."""
    texts = list(dict.fromkeys(text for one in triplets for text in (one.sentence, one.paraphrase, one.edit)))
    rows = dict(zip(texts, encode(texts), strict=True))
    sentences, paraphrases, edits = (
        np.stack([rows[text] for text in column])
        for column in zip(*((one.sentence, one.paraphrase, one.edit) for one in triplets), strict=True)
    )
    return paired_cosines(sentences, paraphrases) - paired_cosines(sentences, edits)


def score_margins(score: Score, triplets: Sequence[Contrast]) -> NDArray[np.float32]:
    """Return score(sentence, paraphrase) - score(sentence, edit), (N,)."""
    scores = score([(one.sentence, other) for one in triplets for other in (one.paraphrase, one.edit)])
    return scores[::2] - scores[1::2]


def contrast_figures(
    triplets: Sequence[Contrast], margins: Mapping[str, NDArray[np.float32]], errors: bool = False
) -> dict[str, Any]:
    """Return the accuracy (%) of the last method in `margins`, per kind and over all, with 95% Wilson intervals.

    A triplet is correct if its margin is positive. With two methods, each kind has the change from first to second with
    McNemar's exact test; `errors` adds up to MAX_ERRORS triplets where exactly one of them errs.
    """
    right = {name: (values > 0).astype(float) for name, values in margins.items()}
    kinds = np.array([one.kind for one in triplets])
    groups = {kind: kinds == kind for kind in dict.fromkeys(kinds.tolist())} | {ALL: np.ones(len(kinds), bool)}
    found: dict[str, Any] = {
        "kinds": {
            kind: _kind_figures({name: each[rows] for name, each in right.items()}) for kind, rows in groups.items()
        }
    }
    if errors and len(right) == 2:
        found["errors"] = _errors(triplets, right)
    return found


def _kind_figures(right: Mapping[str, Outcomes]) -> dict[str, Any]:
    values = list(right.values())[-1]
    interval = binomtest(int(values.sum()), len(values)).proportion_ci(method="wilson")
    change = paired_figures(right, ACCURACY).get("change")
    return {
        "items": len(values),
        "figure": round(100 * float(values.mean()), 2),
        "low": round(100 * interval.low, 2),
        "high": round(100 * interval.high, 2),
        **({"change": change} if change else {}),
    }


def _errors(triplets: Sequence[Contrast], right: Mapping[str, Outcomes]) -> list[dict[str, str]]:
    (first, before), (second, after) = right.items()
    return [
        {**vars(one), "errs": second if before[number] else first}
        for number, one in enumerate(triplets)
        if before[number] != after[number]
    ][:MAX_ERRORS]
