"""Result tables: every figure in its cell, for two models and for one."""

from typing import Any

import pytest

from sempa.evaluation.tables import mean_score, result_table

READING = {"template": "prompteol", "layer": -1, "pooling": "last", "postprocess": None, "base_model": "tiny"}
BASE, TUNED = {**READING, "adapter": None}, {**READING, "adapter": "abc"}
ABOUT = {"hardware": "two cores", "precision": "float32", "date": "a day", "adapter": "mine"}
SETS = {
    "sts-test": {
        "base": {"spearman": 60.0},
        "sempa": {"spearman": 62.5},
        "change": {"spearman": 2.5, "low": 1.0, "high": 4.0},
    },
    "b-dev": {"base": {"spearman": 10.0}, "sempa": {"spearman": 9.0}},
}
TASKS = {
    "sums": {
        "measure": "accuracy %",
        "items": 1234,
        "base": {"figure": 20.0},
        "sempa": {"figure": 21.25},
        "change": {"figure": 1.25, "low": -1.0, "high": 3.5, "p": 0.04321},
    }
}


STS = {"kind": "sts", "text": "raw", "sets": SETS}
PAIRED = {"kind": "paired", "measure": "Sums", "tasks": TASKS}


def _result(payload: dict[str, Any], **recipes: Any) -> dict[str, Any]:
    return {**payload, "recipes": recipes or {"base": BASE, "sempa": TUNED}, **ABOUT}


def test_sts_shows_both_models_the_change_and_the_mean_without_dev() -> None:
    table = result_table(_result(STS))
    assert table.head == ["raw", "base", "mine", "change (95% interval)"]
    assert table.rows == [
        ["sts-test", "60.00", "62.50", "+2.50 (+1.00 to +4.00)"],
        ["b-dev", "10.00", "9.00"],
        ["average of test sets", "60.00", "62.50", "+2.50"],
    ]
    assert table.about == "Spearman x100, template prompteol, layer -1, last token. two cores; float32; a day."


def test_generation_shows_items_change_interval_and_test() -> None:
    table = result_table(_result(PAIRED))
    assert table.head == ["task", "items", "base", "mine", "improvement (95% interval)", "p"]
    assert table.rows == [["sums, accuracy %", "1,234", "20.00", "21.25", "+1.25 (-1.00 to +3.50)", "0.043"]]


def test_a_chance_too_small_for_a_number_is_not_called_none() -> None:
    tiny = TASKS["sums"] | {"change": TASKS["sums"]["change"] | {"p": 0.0}}
    assert result_table(_result(PAIRED | {"tasks": {"sums": tiny}})).rows[0][-1] == "< 1e-300"


def test_a_set_measured_in_several_ways_is_named_once_a_row() -> None:
    several = {"captions, nDCG@10": TASKS["sums"] | {"measure": "nDCG@10 (x100)"}}
    assert result_table(_result(PAIRED | {"tasks": several})).rows[0][0] == "captions, nDCG@10 (x100)"


@pytest.mark.parametrize("payload", [STS, PAIRED])
def test_one_model_alone_shows_no_change(payload: dict[str, Any]) -> None:
    kind = "sets" if "sets" in payload else "tasks"
    alone = {
        name: {key: value for key, value in figures.items() if key not in ("sempa", "change")}
        for name, figures in payload[kind].items()
    }
    table = result_table(_result(payload | {kind: alone}, base=BASE))
    assert "mine" not in table.head
    assert {len(row) for row in table.rows} == {len(table.head)}


def test_a_post_processed_reading_says_so() -> None:
    table = result_table(_result(STS | {"postprocess": "whiten fitted on 3 texts"}))
    assert "last token, whiten fitted on 3 texts." in table.about


def test_geometry_and_tokens_show_each_model_s_figures() -> None:
    found = dict.fromkeys(("uniformity", "alignment", "distance_to_negative", "isotropy", "mean_cosine"), 0.25)
    models = {"base": {**found, "triplets": 1000, "effective_rank": 12.5}, "sempa": {**found, "effective_rank": 40.0}}
    geometry = {"kind": "geometry", "measure": "Rows", "models": models, "data": {"name": "nli.csv"}}
    table = result_table(_result(geometry))
    assert table.head == ["1,000 triplets of nli.csv", "base", "mine"]
    assert ["effective rank", "12.5", "40"] in table.rows
    ratios = {"base": {"sentences": 9, "gar": 0.1234, "gar_stem": 0.2}, "sempa": {"gar": 0.3, "gar_stem": 0.4}}
    table = result_table(_result({"kind": "tokens", "measure": "Share", "models": ratios}))
    assert table.rows == [["the same word", "0.123", "0.300"], ["the same stem", "0.200", "0.400"]]


def test_only_development_sets_have_a_mean_too() -> None:
    assert mean_score({"b-dev": SETS["b-dev"]}, "base") == 10.0
