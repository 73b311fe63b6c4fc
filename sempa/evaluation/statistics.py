"""Compare two models on the same items: figures, and the difference with its interval and paired test."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, ttest_rel

from sempa.evaluation.metrics import bootstrap_interval

Outcomes = NDArray[np.float64]
"""One row per item: (N,), or (N, 2) of log-likelihood and word count for perplexity."""
Cache = Callable[[Mapping[str, Any], Callable[[], Outcomes]], Outcomes]
"""Receives a request and the function that computes its outcomes; see `ResultCache.cached`."""


@dataclass(frozen=True)
class Measure:
    """Describe a figure: its name, its formula over items, the paired test, and the better direction.

    `better` is 1 if higher figures are better and -1 if lower figures are.
    """

    name: str
    figure: Callable[[Outcomes], float]
    p_value: Callable[[Outcomes, Outcomes], float]
    better: int = 1


def paired_figures(outcomes: Mapping[str, Outcomes], measure: Measure) -> dict[str, Any]:
    """Return each variant's figure and, for two variants, the change: positive if the second is better.

    Intervals are 95%, by paired bootstrap over items.
    """
    items = len(next(iter(outcomes.values())))
    figures: dict[str, Any] = {"items": items, "measure": measure.name}
    for variant, values in outcomes.items():
        figures[variant] = {"figure": round(measure.figure(values), 3)}
    if len(outcomes) == 2:
        before, after = outcomes.values()

        def change(rows: NDArray[np.int64]) -> float:
            return measure.better * (measure.figure(after[rows]) - measure.figure(before[rows]))

        low, high = bootstrap_interval(change, items)
        figures["change"] = {
            "figure": round(change(np.arange(items)), 3),
            "low": round(low, 3),
            "high": round(high, 3),
            "p": float(f"{measure.p_value(before, after):.3g}"),
        }
    return figures


def mean_percent(values: Outcomes) -> float:
    """Return the mean of outcomes between 0 and 1, x100."""
    return 100 * float(values.mean())


def mcnemar(before: Outcomes, after: Outcomes) -> float:
    """Return the p-value of the exact McNemar test on two rows of 0 and 1."""
    won, lost = int(((after == 1) & (before == 0)).sum()), int(((after == 0) & (before == 1)).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def paired_t(before: Outcomes, after: Outcomes) -> float:
    """Return the p-value of the paired t-test on two rows of figures; 1 if the rows are equal."""
    return 1.0 if np.array_equal(before, after) else float(ttest_rel(after, before).pvalue)


def _word_perplexity(values: Outcomes) -> float:
    return math.exp(-values[:, 0].sum() / values[:, 1].sum())


def _by_word(before: Outcomes, after: Outcomes) -> float:
    return paired_t(before[:, 0] / before[:, 1], after[:, 0] / after[:, 1])


F1 = Measure("F1 (%)", mean_percent, paired_t)
ACCURACY = Measure("accuracy (%)", mean_percent, mcnemar)
WORD_PERPLEXITY = Measure("word perplexity", _word_perplexity, _by_word, better=-1)
