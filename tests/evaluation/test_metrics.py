"""Metrics against scipy and by hand."""

import numpy as np
import pytest
from scipy.stats import bootstrap, pearsonr, rankdata, spearmanr

from sempa.errors import InputError
from sempa.evaluation.metrics import bootstrap_interval, difference_interval, nearer_share, paired_cosines, spearman


def test_spearman_by_the_textbook_formula() -> None:
    """Without ties 1 - 6 sum d^2 / (n (n^2 - 1)): ranks 1 2 3 4 5 against 2 1 4 3 5 give 1 - 24/120 = 0.8."""
    assert spearman(np.array([1, 2, 3, 4, 5.0]), np.array([20, 10, 40, 30, 50.0])) == pytest.approx(80.0)


def test_spearman_with_ties_is_pearson_of_mean_ranks() -> None:
    generator = np.random.default_rng(0)
    gold = generator.integers(0, 6, 300).astype(np.float32)
    scores = np.round(gold + generator.normal(size=300), 1).astype(np.float32)
    expected = pearsonr(rankdata(scores), rankdata(gold)).statistic * 100
    assert spearman(scores, gold) == pytest.approx(expected)
    assert len(set(scores)) < 300


def test_spearman_sees_order_alone() -> None:
    scores, gold = np.array([0.1, 0.2, 0.9, 0.3]), np.array([0, 1, 5, 2.0])
    assert spearman(scores, gold) == pytest.approx(100.0)
    assert spearman(np.exp(scores), gold) == pytest.approx(100.0)
    assert spearman(-scores, gold) == pytest.approx(-100.0)


@pytest.mark.parametrize(
    ("scores", "gold"),
    [([0.5, 0.5, 0.5], [1, 2, 3]), ([0.1, 0.2, 0.3], [2, 2, 2]), ([0.5], [1]), ([], [])],
    ids=["constant scores", "constant gold", "one row", "no row"],
)
def test_spearman_that_is_undefined_is_an_input_error(scores: list[float], gold: list[float]) -> None:
    with pytest.raises(InputError, match=f"at least two different values on each side, got {len(scores)} rows"):
        spearman(np.array(scores), np.array(gold))


def test_paired_cosines_by_hand() -> None:
    a = np.array([[1, 0], [0.6, 0.8], [1, 0]], dtype=np.float32)
    b = np.array([[0, 1], [0.8, 0.6], [-1, 0]], dtype=np.float32)
    assert paired_cosines(a, b).tolist() == pytest.approx([0.0, 0.96, -1.0])


def test_nearer_share_by_hand() -> None:
    """The first entailment is nearer, the second as near, the third farther: one of three."""
    anchors = np.array([[1, 0]] * 3, dtype=np.float32)
    entailments = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    contradictions = np.array([[0, 1], [0.6, -0.8], [1, 0]], dtype=np.float32)
    assert nearer_share(anchors, entailments, contradictions) == pytest.approx(1 / 3)


def test_the_interval_of_a_change_holds_it_and_narrows_with_more_pairs() -> None:
    generator = np.random.default_rng(4)
    gold = generator.normal(size=800)
    before, after = gold + 2 * generator.normal(size=800), gold + generator.normal(size=800)
    widths = []
    for count in (100, 800):
        low, high = difference_interval(before[:count], after[:count], gold[:count], resamples=200)
        assert low < spearman(after[:count], gold[:count]) - spearman(before[:count], gold[:count]) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
    assert low > 0


def test_the_interval_of_no_change_is_nothing() -> None:
    gold = np.arange(30.0)
    scores = np.sin(gold)
    assert difference_interval(scores, scores, gold, resamples=50) == (0.0, 0.0)


def test_the_same_seed_draws_the_same_interval() -> None:
    generator = np.random.default_rng(4)
    before, after, gold = generator.normal(size=(3, 60))
    assert difference_interval(before, after, gold, 50) == difference_interval(before, after, gold, 50)
    assert difference_interval(before, after, gold, 50, seed=1) != difference_interval(before, after, gold, 50)


def test_the_interval_is_that_of_the_paired_bootstrap() -> None:
    before, after, gold = np.random.default_rng(4).normal(size=(3, 60))

    def change(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
        return float(100 * (spearmanr(y, z).statistic - spearmanr(x, z).statistic))

    expected = bootstrap(
        (before, after, gold),
        change,
        paired=True,
        vectorized=False,
        n_resamples=99,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert difference_interval(before, after, gold, 99) == pytest.approx((expected.low, expected.high))


def test_draws_without_a_figure_do_not_count() -> None:
    """Of two pairs, half of all draws take one pair twice; the other half reverses the order."""
    rows = np.array([0.0, 1.0])
    assert difference_interval(-rows, rows, rows) == pytest.approx((200, 200))
    assert bootstrap_interval(lambda chosen: float(len(chosen)), 1) == (1, 1)
