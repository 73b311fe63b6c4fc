"""Detecting negation, and balancing it between entailments and contradictions."""

import random
import re

import pytest

from sempa.data.negation import balance_negations, negates
from sempa.data.triplets import Triplet, TripletReport
from sempa.errors import InputError


@pytest.mark.parametrize(
    "sentence",
    [
        "No one is there.",
        "It is not open.",
        "it is n't open .",
        "It isn't open.",
        "It isn\u2019t open.",
        "They cannot see it.",
        "NOBODY came.",
        "A street without trees.",
        "Thanks for nothing!",
        "ca n't",
    ],
)
def test_negating_words_are_found_in_any_form(sentence: str) -> None:
    assert negates(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["A man in front of a wall.", "Another note on knots.", "An event in the north.", "", "nonetheless"],
)
def test_words_that_hold_one_are_not(sentence: str) -> None:
    assert not negates(sentence)


def _mixed(against: int, towards: int, both: int, neither: int) -> list[Triplet]:
    made = [Triplet(f"a{n}", f"Yes {n}.", f"No {n}.") for n in range(against)]
    made += [Triplet(f"b{n}", f"Not {n}.", f"Yes {n}.") for n in range(towards)]
    made += [Triplet(f"c{n}", f"Not {n}.", f"Never {n}.") for n in range(both)]
    made += [Triplet(f"d{n}", f"Yes {n}.", f"Well {n}.") for n in range(neither)]
    random.Random(0).shuffle(made)
    return made


@pytest.mark.parametrize(("against", "towards"), [(50, 7), (7, 50), (9, 9), (0, 4)])
def test_either_answer_negates_as_often(against: int, towards: int) -> None:
    triplets, report = _mixed(against, towards, 5, 11), TripletReport(used=against + towards + 16)
    kept = balance_negations(triplets, report)
    alone = [(bool(re.match("No|Ne", t.entailment)), bool(re.match("No|Ne", t.contradiction))) for t in kept]
    assert alone.count((True, False)) == alone.count((False, True)) == min(against, towards)
    assert (alone.count((True, True)), alone.count((False, False))) == (5, 11)
    assert kept == [triplet for triplet in triplets if triplet in set(kept)]  # in order
    assert report.used == len(kept)
    assert sum(report.skipped.values()) == abs(against - towards)
    assert len(triplets) == report.used + sum(report.skipped.values())


def test_what_is_left_out_is_spread_over_the_file() -> None:
    triplets = [Triplet(f"a{n}", f"Yes {n}.", f"No {n}.") for n in range(100)]
    triplets += [Triplet(f"b{n}", f"No {n}.", f"Yes {n}.") for n in range(10)]
    kept = balance_negations(triplets, TripletReport(used=110))
    assert [triplet.anchor for triplet in kept[:10]] == [f"a{n}" for n in range(0, 100, 10)]


def test_a_file_that_has_nothing_else_is_refused() -> None:
    with pytest.raises(InputError, match="none would be left. Use --no-balance-negation"):
        balance_negations(_mixed(3, 0, 0, 0), TripletReport(used=3))
