"""Paired figures, each worked out by hand."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from sempa.evaluation.statistics import ACCURACY, WORD_PERPLEXITY, Measure, paired_figures, paired_t


def test_accuracy_by_hand() -> None:
    """Right before: 3 of 10; after: 7, two of the three among them. Five won, one lost: p = 2 * 7 / 64."""
    before = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0.0])
    after = np.array([1, 1, 0, 1, 1, 1, 1, 1, 0, 0.0])
    figures = paired_figures({"base": before, "sempa": after}, ACCURACY)
    assert (figures["base"]["figure"], figures["sempa"]["figure"]) == (30, 70)
    change = figures["change"]
    assert change["figure"] == pytest.approx(40)
    assert change["p"] == pytest.approx(2 * 7 / 64, rel=1e-2)
    assert change["low"] < 40 < change["high"] <= 100


def test_no_difference_has_p_1() -> None:
    values = np.array([1, 0, 1.0])
    change = paired_figures({"base": values, "sempa": values}, ACCURACY)["change"]
    assert change == {"figure": 0, "low": 0, "high": 0, "p": 1}


def test_perplexity_by_hand() -> None:
    """Documents of 10 and 30 words: exp(80 / 40) before, exp(60 / 40) after; lower is better, so the change is +."""
    before, after = np.array([[-30.0, 10], [-50.0, 30]]), np.array([[-20.0, 10], [-40.0, 30]])
    figures = paired_figures({"base": before, "sempa": after}, WORD_PERPLEXITY)
    assert figures["base"]["figure"] == pytest.approx(math.exp(2), abs=1e-3)
    assert figures["sempa"]["figure"] == pytest.approx(math.exp(1.5), abs=1e-3)
    assert figures["change"]["figure"] == pytest.approx(math.exp(2) - math.exp(1.5), abs=1e-3)


def test_the_better_way_decides_the_sign_of_a_change() -> None:
    before, after = np.array([1.0, 3.0, 5.0]), np.array([2.0, 5.0, 6.0])
    mean = Measure("words", lambda values: float(values.mean()), paired_t, better=-1)
    change = paired_figures({"base": before, "sempa": after}, mean)["change"]
    assert change["figure"] == pytest.approx(-4 / 3, abs=1e-3)
    assert change["p"] == pytest.approx(ttest_rel(after, before).pvalue, rel=1e-2)
    assert paired_t(before, before) == 1


def test_one_model_alone_has_no_change() -> None:
    assert "change" not in paired_figures({"base": np.array([1.0, 0.0])}, ACCURACY)
