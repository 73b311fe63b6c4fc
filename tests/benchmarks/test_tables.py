"""Tables of benchmarks, and their places in the docs."""

from pathlib import Path

import pytest
from tables import drawn_table, named_in, with_tables

from sempa.errors import InputError
from sempa.evaluation.results import write_result


def test_seeds_show_the_mean_and_the_sample_s_deviation() -> None:
    runs = [{"seed": s, "sets": {"sts12": 60.0 + s}, "mean": 60.0 + s} for s in (1, 2, 3)]
    found = {"kind": "seeds", "text": "raw", "base": {"sets": {"sts12": 50.0}, "mean": 50.0}, "adapters": {"a": runs}}
    table = drawn_table(found)
    assert table.head == ["", "seeds", "sts12", "mean"]
    assert table.rows == [["base", "", "50.00", "50.00"], ["a", "1, 2, 3", "62.00 ± 1.00", "62.00 ± 1.00"]]


def test_every_model_is_shown_under_both_settings() -> None:
    best = {"template": "cot", "layer": -2, "postprocess": "whiten", "sets": {"sts12": 55.0}, "mean": 55.0}
    models = {"base": {"paper": {"sets": {"sts12": 50.0}, "mean": 50.0}, "best": best}}
    table = drawn_table({"kind": "embedding-settings", "text": "raw", "fitted_on": "9 texts", "models": models})
    assert table.head == ["raw", "settings", "sts12", "mean"]
    assert table.rows == [
        ["base", "the paper's: prompteol, layer -1", "50.00", "50.00"],
        ["base", "the best: cot, layer -2, whiten", "55.00", "55.00"],
    ]
    assert "fitted on 9 texts" in table.about


def test_a_folder_s_tables_go_between_the_marks(tmp_path: Path) -> None:
    visits = [{"kind": "visitor", "seconds": {"page": seconds}, "total": seconds} for seconds in (1.0, 2.0)]
    for name, result in zip("ab", visits, strict=True):
        write_result(result, tmp_path / f"{name}.json")
    document = "before<!-- results: b, a -->\nold<!-- /results -->after <!-- results: b -->\n<!-- /results -->"
    assert named_in(document) == ["b", "a", "b"]
    drawn = with_tables(document, tmp_path)
    first, second = (drawn_table(result).markdown for result in visits)
    assert drawn == (
        f"before<!-- results: b, a -->\n{second}\n\n{first}\n<!-- /results -->"
        f"after <!-- results: b -->\n{second}\n<!-- /results -->"
    )
    assert "| page | 2.0 s |" in drawn
    with pytest.raises(InputError, match="There is no result .*c.json"):
        with_tables("<!-- results: c -->\n<!-- /results -->", tmp_path)
