"""The rank slope chart: each text's two places, and colour only for moves over three places."""

import json

from sempa.embedding.index import Hit
from sempa.embedding.ranking import RankedHit
from sempa.ui.plots import COLOURS
from sempa.ui.slope import QUIET, slope_chart, slope_words


def _hit(text: str, rank: int, other: int | None) -> RankedHit:
    return RankedHit(Hit(0, text, 0.5, rank, {}), other)


FOUND = {
    "base": [_hit("a", 1, 1), _hit("b", 2, 5), _hit("<c>", 3, 40)],
    "sempa": [_hit("a", 1, 1), _hit("d", 2, 6), _hit("e", 3, None)],
}


def test_lines_join_each_text_s_places() -> None:
    drawn = json.loads(slope_chart(FOUND).plot)
    lines = {trace["hovertemplate"].split("<br>")[0]: trace for trace in drawn["data"]}
    assert {text: trace["y"] for text, trace in lines.items()} == {
        "a": [1, 1], "b": [2, 4], "&lt;c&gt;": [3, 5], "d": [4, 2], "e": [5, 3],
    }  # fmt: skip
    assert {text: trace["line"]["color"] for text, trace in lines.items()} == {
        "a": QUIET, "b": QUIET, "&lt;c&gt;": COLOURS["base"], "d": COLOURS["sempa"], "e": COLOURS["sempa"],
    }  # fmt: skip
    assert drawn["layout"]["yaxis"]["ticktext"] == ["1. a", "2. b", "3. &lt;c&gt;", "6. d", "beyond 1,000. e"]
    assert drawn["layout"]["yaxis2"]["ticktext"] == ["1. a", "2. d", "3. e", "5. b", "40. &lt;c&gt;"]


def test_the_large_moves_are_told_in_words() -> None:
    words = slope_words(FOUND)
    assert "“d” is 6 in Base, 2 in SemPA" in words
    assert "“b”" not in words
    assert "&lt;c&gt;" in words
    assert "No text moves more than 3 places." in slope_words({"base": [_hit("a", 1, 2)], "sempa": [_hit("a", 2, 1)]})


def test_one_model_alone_has_no_chart() -> None:
    assert slope_chart({"base": FOUND["base"]}) is None
    assert slope_words({"base": FOUND["base"]}) == ""
