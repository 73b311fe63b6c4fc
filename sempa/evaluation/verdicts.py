"""A one-line summary of a result: what was measured, and which model is better."""

from collections.abc import Mapping
from typing import Any

from sempa.evaluation.generation import TASKS, USUAL
from sempa.evaluation.results import BASELINES_KIND, CONTRAST_KIND, GEOMETRY_KIND, PAIRED_KIND, STS_KIND, TOKENS_KIND
from sempa.evaluation.sts import is_test
from sempa.evaluation.tables import mean_score, method_means, model_names

LEVEL = 0.05
"""Significance level."""

_TITLES = {
    "sts": "Similarity",
    "contrast": "Contrast",
    "baselines": "Baselines",
    "generation": "Knowledge and writing",
    "paraphrase": "Paraphrases",
    "retrieval": "Retrieval",
    "geometry": "Geometry",
    "tokens": "Key tokens",
}


def title(result: Mapping[str, Any]) -> str:
    """Return the title of a result of `sempa evaluate`."""
    named = _TITLES[result["what"]]
    if result["kind"] in (STS_KIND, BASELINES_KIND):
        return f"{named}, {result['text']}"
    if result["what"] == "generation" and set(result["tasks"]) <= {*TASKS} - {*USUAL}:
        return f"{named}, {', '.join(result['tasks'])}"
    return f"{named}, {result['data']['name']}" if result["what"] == "retrieval" else named


def verdict(result: Mapping[str, Any]) -> str:
    """Return a line that compares base and adapter; empty without an adapter."""
    return _VERDICTS[result["kind"]](result) if len(result["recipes"]) == 2 else ""


def _sts(result: Mapping[str, Any]) -> str:
    sets = {name: found for name, found in result["sets"].items() if is_test(name)} or result["sets"]
    before, after = (mean_score(sets, variant) for variant in result["recipes"])
    better = sum(found["change"]["low"] > 0 for found in sets.values())
    worse = sum(found["change"]["high"] < 0 for found in sets.values())
    of = f"average of {len(sets)} sets" if len(sets) > 1 else next(iter(sets))
    return f"{before:.1f} → {after:.1f} ({after - before:+.1f}), {of}; {_counted(better, worse, len(sets))}"


def _paired(result: Mapping[str, Any]) -> str:
    changes = [found["change"] for found in result["tasks"].values()]
    sure = [change["figure"] for change in changes if change["p"] < LEVEL]
    return _counted(sum(figure > 0 for figure in sure), sum(figure < 0 for figure in sure), len(changes))


def _contrast(result: Mapping[str, Any]) -> str:
    before, after, both = (result["methods"][name]["kinds"] for name in ("base", "sempa", "both"))
    weakest = min(set(after) - {"all"}, key=lambda kind: (after[kind]["figure"], kind))
    sure = "" if after["all"]["change"]["p"] < LEVEL else " (not significant)"
    return (
        f"{before['all']['figure']:.1f}% → {after['all']['figure']:.1f}%{sure} of {after['all']['items']:,} triplets, "
        f"{both['all']['figure']:.1f}% by both scores; weakest kind: {weakest}, {after[weakest]['figure']:.1f}%"
    )


def _counted(better: int, worse: int, of: int) -> str:
    return f"better on {better} of {of}, worse on {worse} (at the {LEVEL:.0%} level)"


def _baselines(result: Mapping[str, Any]) -> str:
    own = [f"{name}, PromptEOL" for name in (model_names(result)[-1], *result.get("also", {}))]
    means = method_means(result)
    best = max(means, key=lambda method: means[method])
    order = sorted(means.values(), reverse=True)
    places = "; ".join(
        f"{name}: {means[name]:.1f}, place {order.index(means[name]) + 1} of {len(order)}" for name in own
    )
    first = "" if best in own else f"; highest: {best}, {means[best]:.1f}"
    return f"{places}{first}"


def _geometry(result: Mapping[str, Any]) -> str:
    before, after = result["models"].values()
    shown = {"uniformity": ".2f", "isotropy": ".2f", "effective_rank": ".0f"}
    return ", ".join(
        f"{name.replace('_', ' ')} {before[name]:{form}} → {after[name]:{form}}" for name, form in shown.items()
    )


def _tokens(result: Mapping[str, Any]) -> str:
    before, after = result["models"].values()
    shares = f"{before['gar']:.1%} → {after['gar']:.1%}"
    return f"{shares} of all words are among their sentence's aligned tokens"


_VERDICTS = {
    STS_KIND: _sts,
    PAIRED_KIND: _paired,
    BASELINES_KIND: _baselines,
    CONTRAST_KIND: _contrast,
    GEOMETRY_KIND: _geometry,
    TOKENS_KIND: _tokens,
}
