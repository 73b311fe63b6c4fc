"""Triplets whose answers negate evenly, so that a model does not learn that what negates is worse. English only."""

import re
from collections.abc import Sequence

from sempa.data.triplets import Triplet, TripletReport
from sempa.errors import InputError

_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|nowhere|neither|nor|without|cannot)\b|n(?:'|\u2019| ')t\b", re.IGNORECASE
)


def negates(sentence: str) -> bool:
    """Say whether a sentence has one of English's negating words, however it is tokenised."""
    return _NEGATION.search(sentence) is not None


def with_balance_negation(triplets: Sequence[Triplet], report: TripletReport) -> list[Triplet]:
    """Return the triplets in order, without some of those in which one answer negates and the other does not.

    Of these, as many are kept in which the contradiction does as in which the entailment does, evenly taken; the others
    are counted in `report`.
    Raises: InputError if none is left.
    Source: Gururangan et al. 2018: who writes a contradiction often writes "no", "never" or "nobody".
    """
    sides: dict[bool, list[int]] = {True: [], False: []}
    for number, triplet in enumerate(triplets):
        if (against := negates(triplet.contradiction)) != negates(triplet.entailment):
            sides[against].append(number)
    fewer, more = sorted(sides.values(), key=len)
    kept = {more[place * len(more) // len(fewer)] for place in range(len(fewer))}
    left_out = set(more) - kept
    report.leave_out(len(left_out), "to balance negations")
    if len(left_out) == len(triplets):
        raise InputError(
            "Every triplet negates in the same answer alone: nothing is left. Use --no-balance-negation to keep them."
        )
    return [triplet for number, triplet in enumerate(triplets) if number not in left_out]
