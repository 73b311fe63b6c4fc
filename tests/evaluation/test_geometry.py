"""Geometry figures by hand on simple rows, and against brute force."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from sempa.errors import InputError
from sempa.evaluation import geometry
from sempa.evaluation.geometry import alignment, effective_rank, geometry_figures, isotropy, uniformity


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


RANDOM = _unit(np.random.default_rng(3).normal(size=(40, 6)) + 0.3)
CROSS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.float32)


def test_uniformity_by_hand() -> None:
    """Four points of a cross: of 6 pairs 2 are opposite (distance^2 4) and 4 at right angles (2)."""
    assert uniformity(CROSS) == pytest.approx(math.log((2 * math.exp(-8) + 4 * math.exp(-4)) / 6))
    assert uniformity(np.repeat(CROSS[:1], 5, axis=0)) == pytest.approx(0)  # all in one place


def test_uniformity_is_brute_force_s_whatever_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = itertools.combinations(RANDOM.astype(np.float64), 2)
    expected = math.log(np.mean([math.exp(-2 * float(((a - b) ** 2).sum())) for a, b in pairs]))
    for held in (7, 40, 2000):
        monkeypatch.setattr(geometry, "PAIRS_AT_ONCE", held)
        assert uniformity(RANDOM) == pytest.approx(expected, abs=1e-6)


def test_alignment_by_hand() -> None:
    assert alignment(CROSS, CROSS) == 0
    assert alignment(CROSS, CROSS[[1, 0, 2, 3]]) == pytest.approx((4 + 4 + 0 + 0) / 4)


def test_isotropy_by_hand() -> None:
    """A cross looks the same along both axes and signs; points on one side do not."""
    assert isotropy(CROSS) == pytest.approx(1)
    assert isotropy(np.repeat(CROSS[:1], 5, axis=0)) == pytest.approx(math.exp(-1) / math.exp(1))


def test_isotropy_does_not_hang_on_an_eigenvector_s_sign() -> None:
    values = RANDOM.astype(np.float64)
    _, directions = np.linalg.eigh(values.T @ values)
    sums = [np.exp(values @ (sign * c)).sum() for c in directions.T for sign in (1, -1)]
    assert isotropy(RANDOM) == pytest.approx(min(sums) / max(sums))
    assert isotropy(-RANDOM) == pytest.approx(isotropy(RANDOM))


def test_effective_rank_by_hand() -> None:
    assert effective_rank(np.eye(5, dtype=np.float32)) == pytest.approx(5)
    assert effective_rank(np.repeat(CROSS[:1], 5, axis=0)) == pytest.approx(1)
    with pytest.raises(InputError, match="all zero"):
        effective_rank(np.zeros((3, 2), dtype=np.float32))


def test_figures_of_a_model() -> None:
    rows = {"anchor": RANDOM, "positive": RANDOM, "negative": -RANDOM}
    figures = geometry_figures(rows)
    assert figures["alignment"] == 0
    assert figures["distance_to_negative"] == pytest.approx(4, abs=1e-3)
    cosines = [float(a @ b) for a, b in itertools.combinations(RANDOM, 2)]
    assert figures["mean_cosine"] == pytest.approx(np.mean(cosines), abs=1e-4)
    assert geometry_figures({"anchor": CROSS, "positive": CROSS, "negative": CROSS})["isotropy"] == 1


def test_too_few_sentences_is_an_input_error() -> None:
    with pytest.raises(InputError, match="at least 2 sentences, got 1"):
        uniformity(CROSS[:1])
