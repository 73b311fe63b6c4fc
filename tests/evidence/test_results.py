"""Results on disk as tables: every figure where it belongs, for both models and for one alone."""

from pathlib import Path
from typing import Any

import pytest

from sempa.evidence.results import (
    FinishedParts,
    mean_score,
    measured_models,
    read_results,
    result_table,
    with_tables,
    write_result,
)

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
    assert table.head == ["raw", "base", "mine", "change (95 % interval)"]
    assert table.rows == [
        ["sts-test", "60.00", "62.50", "+2.50 (+1.00 to +4.00)"],
        ["b-dev", "10.00", "9.00"],
        ["mean without dev", "60.00", "62.50", "+2.50"],
    ]
    assert table.about == "Spearman x100, read by prompteol, layer -1, last token. two cores; float32; a day."


def test_generation_shows_items_change_interval_and_test() -> None:
    table = result_table(_result(PAIRED))
    assert table.head == ["task", "items", "base", "mine", "better by (95 % interval)", "p"]
    assert table.rows == [["sums, accuracy %", "1,234", "20.00", "21.25", "+1.25 (-1.00 to +3.50)", "0.043"]]


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
    table = result_table(_result(STS, base={**BASE, "postprocess": "abc"}))
    assert "post-processed" in table.about


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


def test_finished_parts_are_taken_up_by_the_same_measurement_alone(tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    kept = FinishedParts(out, {"data": Path("x"), "limit": 3})
    assert kept.add("one", {"f": 1}) == {"f": 1}
    assert FinishedParts(out, {"data": Path("x"), "limit": 3}).get("one") == {"f": 1}
    assert FinishedParts(out, {"data": Path("x"), "limit": 4}).get("one") is None
    assert FinishedParts(None, {"data": Path("x"), "limit": 3}).add("two", {}) == {}
    kept.clear()
    assert list(tmp_path.iterdir()) == []


def test_only_development_sets_have_a_mean_too() -> None:
    assert mean_score({"b-dev": SETS["b-dev"]}, "base") == 10.0


def test_models_are_told_by_name_and_hash() -> None:
    assert measured_models(_result({})) == ("tiny", "abc")
    assert measured_models(_result({}, base=BASE)) == ("tiny", None)


def test_a_folder_s_tables_go_between_the_marks(tmp_path: Path) -> None:
    write_result(_result(PAIRED), tmp_path / "a.json")
    write_result(_result(STS), tmp_path / "b.json")
    (tmp_path / "speed.json").write_text('{"kind": "speed"}')
    assert [result["kind"] for result in read_results(tmp_path)] == ["sts", "paired"]
    document = "before<!-- results: sts, paired -->\nold<!-- /results -->after <!-- results: sts -->\n<!-- /results -->"
    drawn = with_tables(document, tmp_path)
    tables = "\n\n".join(result_table(result).markdown for result in read_results(tmp_path))
    sts = result_table(read_results(tmp_path)[0]).markdown
    assert drawn == (
        f"before<!-- results: sts, paired -->\n{tables}\n<!-- /results -->after "
        f"<!-- results: sts -->\n{sts}\n<!-- /results -->"
    )
    assert "| sts-test | 60.00 | 62.50 | +2.50 (+1.00 to +4.00) |" in drawn
