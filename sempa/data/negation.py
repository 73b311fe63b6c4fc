"""Balance negations between answers, so that a model does not learn to avoid negation. English only."""

import re
from collections.abc import Sequence

from sempa.data.triplets import Triplet, TripletReport
from sempa.errors import InputError

_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|nowhere|neither|nor|without|cannot)\b|n(?:'|\u2019| ')t\b", re.IGNORECASE
)


def negates(sentence: str) -> bool:
    """Return whether a sentence has an English negation, in any tokenisation."""
    return _NEGATION.search(sentence) is not None


def balance_negations(triplets: Sequence[Triplet], report: TripletReport) -> list[Triplet]:
    """Drop triplets, evenly spaced, until as many negate in the contradiction alone as in the entailment alone.

    The dropped ones are counted in `report`.
    Raises: InputError if none is left.
    Source: Gururangan et al. 2018: contradictions often contain "no", "never" or "nobody".
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
            "Every triplet negates in the same answer: none would be left. Use --no-balance-negation to keep them."
        )
    return [triplet for number, triplet in enumerate(triplets) if number not in left_out]
