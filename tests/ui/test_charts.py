"""Charts of results: the figures of the JSON files, whatever the adapters are called, and a sentence where none are."""

import json
from pathlib import Path
from typing import Any

import pytest

from sempa.evaluation.results import read_result
from sempa.service.studio import RESULTS_ROOT, Studio
from sempa.ui.charts import QUIET, contrast_chart, cost_chart, similarity_chart
from sempa.ui.evidence import CHARTS, charts
from sempa.ui.plots import COLOURS

BASELINES = {
    "base, mean pooling": {"a": 10.0, "stsb-dev": 99.0},
    "base, PromptEOL": {"a": 20.0, "stsb-dev": 99.0},
    "mine, PromptEOL": {"a": 40.0, "stsb-dev": 99.0},
    "<b>second</b>, PromptEOL": {"a": 30.0, "stsb-dev": 99.0},
    "other-model": {"a": 35.04, "stsb-dev": 99.0},
}


def _plot(drawn: Any) -> dict[str, Any]:
    assert drawn is not None
    return dict(json.loads(drawn[0].plot))


def test_similarity_compares_base_adapters_and_other_models_on_the_test_sets() -> None:
    result = {"kind": "baselines", "text": "raw", "adapter": "mine", "also": {"<b>second</b>": {}}}
    drawn = similarity_chart([{**result, "methods": BASELINES}])
    (bars,) = _plot(drawn)["data"]
    shown = {
        name: (mean, colour) for name, mean, colour in zip(bars["y"], bars["x"], bars["marker"]["color"], strict=True)
    }
    assert shown == {
        "base": (20.0, COLOURS["base"]),
        "&lt;b&gt;second&lt;/b&gt;": (30.0, COLOURS["sempa"]),
        "other-model": (35.04, QUIET),
        "mine": (40.0, COLOURS["sempa"]),
    }
    assert drawn is not None
    assert drawn[1].startswith("mine 40.0, other-model 35.0, <b>second</b> 30.0, base 20.0: ")


def test_without_baselines_similarity_shows_the_result_on_most_sets() -> None:
    def sts(sets: dict[str, tuple[float, float]]) -> dict[str, Any]:
        found = {name: {"base": {"spearman": b}, "sempa": {"spearman": s}} for name, (b, s) in sets.items()}
        return {"kind": "sts", "text": "raw", "adapter": "mine", "recipes": {"base": {}, "sempa": {}}, "sets": found}

    (bars,) = _plot(similarity_chart([sts({"a": (1, 2)}), sts({"a": (10, 50), "b": (20, 60)})]))["data"]
    assert dict(zip(bars["y"], bars["x"], strict=True)) == {"base": 15, "mine": 55}


def test_cost_shows_every_task_of_every_result_with_its_interval() -> None:
    def task(figure: float, low: float, high: float, p: float) -> dict[str, Any]:
        return {"measure": "accuracy (%)", "change": {"figure": figure, "low": low, "high": high, "p": p}}

    common = {"kind": "paired", "what": "generation", "recipes": {"base": {}, "sempa": {}}}
    results = [
        {**common, "tasks": {"first": task(-2, -3, -1.5, 0.01), "second": task(1, 0.5, 2, 0.01)}},
        {**common, "tasks": {"third": task(0, -1, 1, 1)}},
        {**common, "what": "retrieval", "tasks": {"no writing": task(9, 8, 10, 0.01)}},
        {**common, "recipes": {"base": {}}, "tasks": {"base alone": {"measure": "accuracy (%)"}}},
    ]
    drawn = cost_chart(results)
    plot = _plot(drawn)
    (marks,) = plot["data"]
    assert (marks["text"], marks["x"]) == (["first", "second", "third"], [-2, 1, 0])
    assert marks["y"] == [2, 1, 0], "the first task is at the top"
    assert [at - less for at, less in zip(marks["x"], marks["error_x"]["arrayminus"], strict=True)] == [-3, 0.5, -1]
    assert [at + more for at, more in zip(marks["x"], marks["error_x"]["array"], strict=True)] == [-1.5, 2, 1]
    assert plot["layout"]["yaxis"]["ticktext"][0] == "first<br>accuracy (%)"
    assert drawn is not None
    assert drawn[1].startswith("Better on 1 of 3, worse on 1 (at the 5% level): first -2.0, second +1.0, third +0.0.")


def test_contrast_shows_base_cosine_and_preference_by_kind() -> None:
    def kinds(negation: float, all_: float) -> dict[str, Any]:
        found = {"negation": (3, negation), "roles": (2, 50.0), "all": (5, all_)}
        made = {kind: {"items": n, "figure": f, "low": f - 1, "high": f + 2} for kind, (n, f) in found.items()}
        return {"kinds": made}

    methods = {"base": kinds(10, 20), "sempa": kinds(30, 40), "preference": kinds(60, 70), "both": kinds(1, 1)}
    result = {"kind": "contrast", "methods": methods, "adapter": "mine"}
    drawn = contrast_chart([{**result, "split": "dev", "methods": {}}, {**result, "split": "test"}])
    traces = {trace["name"]: trace for trace in _plot(drawn)["data"]}
    assert {name: trace["x"] for name, trace in traces.items()} == {
        "Base, cosine": [20, 10, 50],
        "SemPA, cosine": [40, 30, 50],
        "SemPA, preference": [70, 60, 50],
    }
    assert {trace["marker"]["color"] for name, trace in traces.items() if "SemPA" in name} == {COLOURS["sempa"]}
    places = [y for trace in traces.values() for y in trace["y"]]
    assert len(set(places)) == len(places), "marks with the same figure do not hide each other"
    assert traces["Base, cosine"]["text"] == ["all", "negation", "roles"]
    assert max(places) == traces["Base, cosine"]["y"][0], "all kinds together are at the top"
    assert drawn is not None
    assert "SemPA, preference 70.0 % (lowest: roles, 50.0 %)" in drawn[1]


def test_what_was_not_measured_is_said_in_a_sentence(studio: Studio) -> None:
    shown = charts(studio.results())
    assert len(shown) == 2 * len(CHARTS)
    for plot, words in zip(shown[::2], shown[1::2], strict=True):
        assert not plot["visible"]
        assert "no results for this model and adapter. To measure: sempa evaluate " in words


@pytest.mark.parametrize("path", sorted(RESULTS_ROOT.glob("contrast-*.json")), ids=lambda path: path.stem)
def test_each_committed_contrast_can_be_drawn(path: Path) -> None:
    result = read_result(path)
    for trace in _plot(contrast_chart([result]))["data"]:
        name = {"Base, cosine": "base", "SemPA, cosine": "sempa", "SemPA, preference": "preference"}[trace["name"]]
        kinds = result["methods"][name]["kinds"]
        assert dict(zip(trace["text"], trace["x"], strict=True)) == {
            kind: found["figure"] for kind, found in kinds.items()
        }
