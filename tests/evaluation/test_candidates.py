"""Candidates by hand."""

import pytest

from sempa.evaluation.candidates import COPY, CUT, FACTS, MEANING, RUNS_ON, Candidate, folded, judged


def test_doubles_are_folded_and_empty_ones_left_out() -> None:
    assert folded(["A cat sat.", "a cat sat", "", "  ", "A dog sat.", "A CAT sat!"]) == {
        "A cat sat.": 3,
        "A dog sat.": 1,
    }


def _texts(*texts: str) -> dict[str, int]:
    return dict.fromkeys(texts, 1)


def test_without_preference_meaning_kept_in_new_words_comes_first() -> None:
    texts = {"A cat sat.": 2, "A feline rested.": 1, "A cat rested.": 1}
    found = judged("A cat sat.", texts, [1.0, 0.8, 0.9], [1.0, 0.998, 0.999])
    assert [candidate.text for candidate in found] == ["A feline rested.", "A cat rested.", "A cat sat."]
    assert found[0].new_words == pytest.approx(2 / 3)
    assert found[0].worth == pytest.approx(2 * 0.998 * (2 / 3) / (0.998 + 2 / 3))
    assert found[0].lost == ("cat", "sat")
    assert (found[-1].worth, found[-1].times, found[-1].faults) == (0, 2, (COPY,))


def test_preference_orders_what_has_no_fault() -> None:
    sentence = "The committee postponed its decision until every member had read the report."
    written = _texts(
        "There was a decision made after reading the report.",
        "The committee delayed its decision until all its members had read the report.",
    )
    found = judged(sentence, written, [0.9, 0.9], [0.999, 0.999], [-0.4, 0.3])
    assert [candidate.preference for candidate in found] == [0.3, -0.4]
    assert found[0].new_words < found[1].new_words


@pytest.mark.parametrize(
    ("text", "percentile", "fault"),
    [
        ("Three boats sank.", 1.0, FACTS),
        ("Two boats did not sink.", 1.0, FACTS),
        ("Rates rose for two days.", 0.996, MEANING),
        ("Two boats sank, and then they went on to sink once more.", 1.0, RUNS_ON),
        ("Two vessels", 1.0, CUT),
        ("two boats sank", 1.0, COPY),
    ],
)
def test_a_fault_puts_the_most_preferred_last_and_says_why(text: str, percentile: float, fault: str) -> None:
    texts = _texts(text, "Two ships went down.")
    found = judged("Two boats sank.", texts, [0.9, 0.8], [percentile, 0.999], [2.0, 0.1], cut={"Two vessels"})
    assert [candidate.faults for candidate in found] == [(), (fault,)]


def test_without_a_standing_the_cosine_counts() -> None:
    assert Candidate("a", 1, 0.5, None, 0.5).worth == pytest.approx(0.5)
    assert Candidate("a", 1, -0.5, None, 0.5).worth == 0
