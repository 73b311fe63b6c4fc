"""Rank candidate sentences by how close their meaning is to a sentence's: by cosine, and by preference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sempa.errors import InputError
from sempa.models.preference import preference
from sempa.service.limits import require_text
from sempa.service.studio import Studio

PREFERENCE = "preference"
"""The method beside "base" and "sempa", which rank by cosine."""
MAX_CANDIDATES = 20
"""Maximum candidates per sentence: preference reads each four times."""


@dataclass(frozen=True)
class Question:
    """A sentence and the candidates to rank."""

    sentence: str
    candidates: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """The scores of a question's candidates by method, in their order: "base", "sempa", "preference"."""

    question: Question
    scores: Mapping[str, Sequence[float]]

    def order(self, method: str) -> list[int]:
        """Return the numbers of the candidates, best first."""
        scores = self.scores[method]
        return sorted(range(len(scores)), key=lambda number: -scores[number])


def rank_candidates(studio: Studio, questions: Sequence[Question]) -> list[Ranking]:
    """Score every question's candidates by each model's cosine and, with an adapter, by preference.

    Raises: InputError for fewer than two or more than MAX_CANDIDATES candidates, or an unusable text.
    """
    for question in questions:
        _require_usable(question)
    texts = list(dict.fromkeys(text for one in questions for text in (one.sentence, *one.candidates)))
    place = {text: number for number, text in enumerate(texts)}
    rows = studio.cache.vectors(studio.encoder, texts)
    pairs = [(one.sentence, other) for one in questions for other in one.candidates]
    preferences = iter(preference(studio.pair, pairs).tolist()) if studio.adapter else None
    rankings = []
    for one in questions:
        others = [place[text] for text in one.candidates]
        scores = {
            variant: np.clip(each[others] @ each[place[one.sentence]], -1, 1).tolist() for variant, each in rows.items()
        }
        if preferences:
            scores[PREFERENCE] = [next(preferences) for _ in others]
        rankings.append(Ranking(one, scores))
    return rankings


def _require_usable(question: Question) -> None:
    require_text(question.sentence, "The sentence")
    if len(question.candidates) < 2:
        raise InputError("There is nothing to rank: enter at least two candidates, one per line.")
    if (count := len(question.candidates)) > MAX_CANDIDATES:
        raise InputError(f"There are {count} candidates, but the limit is {MAX_CANDIDATES}: remove some.")
    for number, text in enumerate(question.candidates, start=1):
        require_text(text, f"Candidate {number}")
