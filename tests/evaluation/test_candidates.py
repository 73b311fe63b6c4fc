"""Candidates by hand."""

import pytest

from sempa.evaluation.candidates import Candidate, folded, judged


def test_doubles_are_folded_and_empty_ones_left_out() -> None:
    assert folded(["A cat sat.", "a cat sat", "", "  ", "A dog sat.", "A CAT sat!"]) == {
        "A cat sat.": 3,
        "A dog sat.": 1,
    }


def test_meaning_kept_in_new_words_comes_first() -> None:
    texts = {"A cat sat.": 2, "A feline rested.": 1, "Rates rose fast.": 1}
    found = judged("A cat sat.", texts, [1.0, 0.8, 0.1], [1.0, 0.98, 0.2])
    assert [candidate.text for candidate in found] == ["A feline rested.", "Rates rose fast.", "A cat sat."]
    assert found[0].new_words == pytest.approx(2 / 3)
    assert found[0].worth == pytest.approx(2 * 0.98 * (2 / 3) / (0.98 + 2 / 3))
    assert found[-1].worth == 0  # a copy
    assert found[-1].times == 2


def test_without_a_standing_the_cosine_counts() -> None:
    assert Candidate("a", 1, 0.5, None, 0.5).worth == pytest.approx(0.5)
    assert Candidate("a", 1, -0.5, None, 0.5).worth == 0
