"""Semantic textual similarity: correlate a model's cosines with human scores."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from sempa.data.scored_pairs import ScoredPairs
from sempa.evaluation.metrics import Floats, difference_interval, paired_cosines, spearman
from sempa.models.pair import SEMPA

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Turns N sentences into (N, D) unit rows."""


def sts_spearman(encode: Encode, pairs: ScoredPairs) -> float:
    """Return Spearman x100 of cosines and scores over all pairs at once ("all", not a mean of subsets).

    Source: Gao et al. 2021, appendix B.
    """
    return spearman(sts_cosines(encode, pairs), np.asarray(pairs.scores, dtype=np.float32))


def is_test(name: str) -> bool:
    """Return whether a set is for testing: no word of its name is dev or train."""
    return not {"dev", "train"} & set(re.split(r"[^a-z0-9]+", name.lower()))


@dataclass(frozen=True)
class MeasuredPairs:
    """Hold scored pairs, each model's cosines (N,), and the figures over all pairs."""

    pairs: ScoredPairs
    cosines: Mapping[str, Floats]
    figures: Mapping[str, Any]

    def disagreement(self) -> list[int]:
        """Return the pairs' numbers by how much their ranks differ between the two models, largest first.

        Ranks, because raw cosines of two models are not comparable. With one model, in file order.
        """
        if len(self.cosines) < 2:
            return list(range(len(self.pairs.scores)))
        first, second = (rankdata(values) for values in self.cosines.values())
        return [int(i) for i in np.argsort(-np.abs(first - second), kind="stable")]


def measured_pairs(encoders: Mapping[str, Encode], pairs: ScoredPairs) -> MeasuredPairs:
    """Encode scored pairs with each model and return cosines and figures."""
    cosines = {model: sts_cosines(encode, pairs) for model, encode in encoders.items()}
    return MeasuredPairs(pairs, cosines, _figures(cosines, np.asarray(pairs.scores, dtype=np.float32)))


def preference_figures(measured: MeasuredPairs, scores: Floats, weight: float) -> dict[str, Any]:
    """Return Spearman x100 of the preference scores (N,), and of the aligned model's cosine + weight x preference."""
    gold = np.asarray(measured.pairs.scores, dtype=np.float32)
    each = {"preference": scores, "both": measured.cosines[SEMPA] + weight * scores}
    return {name: {"spearman": round(spearman(values, gold), 2)} for name, values in each.items()}


def _figures(cosines: Mapping[str, Floats], gold: Floats) -> dict[str, Any]:
    figures: dict[str, Any] = {"pairs": len(gold)}
    for model, values in cosines.items():
        figures[model] = {"spearman": round(spearman(values, gold), 2)}
    if len(cosines) == 2:
        before, after = cosines.values()
        low, high = difference_interval(before, after, gold)
        change = spearman(after, gold) - spearman(before, gold)
        figures["change"] = {"spearman": round(change, 2), "low": round(low, 2), "high": round(high, 2)}
    return figures


def sts_cosines(encode: Encode, pairs: ScoredPairs) -> Floats:
    """Return the cosine of each pair, (N,); every sentence is encoded once."""
    unique = list(dict.fromkeys((*pairs.first, *pairs.second)))
    rows = dict(zip(unique, encode(unique), strict=True))
    return paired_cosines(
        np.stack([rows[sentence] for sentence in pairs.first]), np.stack([rows[sentence] for sentence in pairs.second])
    )
