"""The Search tab's examples are those that were measured, and disagreements are shown with both models' texts."""

import json

from sempa.service.studio import Studio
from sempa.ui.search import DISAGREEING, EXAMPLES, disagreeing, find
from tests.pages import ROOT


def test_the_examples_are_the_measured_ones() -> None:
    found = json.loads((ROOT / "results" / "search-examples.json").read_text(encoding="utf-8"))
    assert set(EXAMPLES) == {row["query"] for row in found["rows"][: found["chosen"]]}


def test_a_search_has_a_chart_and_the_texts_that_move_in_words(studio: Studio) -> None:
    (found,) = find(studio, "The hare was fast.", "demo", 5)
    assert found.chart is not None
    assert "3 places" in found.view


def test_disagreements_name_each_text_s_share_and_both_models_nearest(studio: Studio) -> None:
    view = disagreeing(studio, "demo")
    first = studio.disagreements("demo", DISAGREEING)[0]
    assert view.count("<details") == len(studio.indexes.open("demo"))
    assert f"<b>{first.text}</b> {first.shared:.0%} shared" in view
    for texts in first.nearest.values():
        assert all(f"<li>{text}</li>" in view for text in texts)
