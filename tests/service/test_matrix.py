"""Matrices of sentence pairs by hand."""

import numpy as np
import pytest

from sempa.errors import InputError
from sempa.service.matrix import pair_matrix

TURNS = {"base": [0, 30, 90], "sempa": [0, 80, 100]}
ROWS = {
    name: np.array([[np.cos(np.radians(t)), np.sin(np.radians(t))] for t in turns]) for name, turns in TURNS.items()
}
RANDOM = {"base": np.linspace(0, 1, 101), "sempa": np.linspace(-1, 1, 101)}


def test_cosines_shares_and_difference() -> None:
    matrix = pair_matrix(["a", "b", "c"], ROWS, RANDOM)
    assert matrix.cosines["base"][0, 1] == pytest.approx(np.cos(np.radians(30)))
    assert matrix.cosines["base"][0, 2] == pytest.approx(0, abs=1e-6)
    assert matrix.percentiles["base"][0, 1] == pytest.approx(0.87, abs=0.011)  # of 0, 0.01, ..., 1 those below 0.866
    assert matrix.percentiles["sempa"][0, 2] == pytest.approx((np.cos(np.radians(100)) + 1) / 2, abs=0.011)
    assert matrix.difference is not None
    assert np.allclose(matrix.difference, matrix.percentiles["sempa"] - matrix.percentiles["base"])
    assert np.allclose(matrix.difference, matrix.difference.T)


def test_pairs_the_models_place_differently_come_first() -> None:
    matrix = pair_matrix(["a", "b", "c"], ROWS, RANDOM)
    moved = [abs(matrix.difference[i, j]) for i, j in matrix.pairs()]
    assert moved == sorted(moved, reverse=True)
    assert sorted(matrix.pairs()) == [(0, 1), (0, 2), (1, 2)]


def test_without_a_background_for_both_pairs_are_compared_by_rank() -> None:
    """Base ranks the pairs bc < ... : cosines 0.87 (ab), 0 (ac), 0.5 (bc); aligned 0.17, -0.17, 0.94."""
    matrix = pair_matrix(["a", "b", "c"], ROWS, {"base": RANDOM["base"]})
    assert matrix.percentiles == {}
    assert matrix.scaled["base"][0, 1] == pytest.approx(2.5 / 3)
    assert matrix.scaled["base"][0, 2] == pytest.approx(0.5 / 3)
    assert matrix.scaled["sempa"][1, 2] == pytest.approx(2.5 / 3)
    assert matrix.scaled["base"][0, 0] == 1


def test_one_model_alone_is_sorted_by_cosine() -> None:
    matrix = pair_matrix(["a", "b", "c"], {"base": ROWS["base"]}, {})
    assert matrix.difference is None
    assert matrix.pairs() == [(0, 1), (1, 2), (0, 2)]


def test_one_sentence_is_no_matrix() -> None:
    with pytest.raises(InputError, match="at least two sentences"):
        pair_matrix(["a"], {"base": ROWS["base"][:1]}, {})
