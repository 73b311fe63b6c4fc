"""External text is escaped, and figures are correct."""

import json
import re
from collections.abc import Sequence

import numpy as np
import pytest

from sempa.embedding.index import Hit
from sempa.embedding.ranking import RankedHit
from sempa.evaluation.candidates import CUT, FACTS, Candidate
from sempa.evaluation.tables import ResultTable
from sempa.templates import PARAPHRASE_TEMPLATES
from sempa.ui import evidence, paraphrase, plots, present

EVIL = "<script>alert('1')</script>\"&"
SHOWN = "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot;&amp;"


def _hit(rank: int, other: int | None, text: str = "text", cosine: float = 0.5, topic: str = "") -> RankedHit:
    return RankedHit(Hit(3, text, cosine, rank, {"topic": topic} if topic else {}), other)


@pytest.mark.parametrize(
    "html",
    [
        present.header([EVIL]),
        present.say(EVIL),
        present.hit_cards({"base": [(_hit(1, 2, text=EVIL), "")]}, "mine"),
        present.hit_cards({"base": [(_hit(1, 2, topic=EVIL), "")]}, "mine"),
        present.text_cards({"base": [EVIL]}, "mine", done=False),
        present.text_cards({"base": [EVIL, "x"]}, "mine", done=True),
        present.text_cards({"sempa": ["x"]}, EVIL, done=True),
        present.fact_table([(EVIL, "x")]),
        present.fact_table([("x", EVIL)]),
        evidence.measured(ResultTable([EVIL], [["x"]], "x")),
        evidence.measured(ResultTable(["x"], [[EVIL]], "x")),
        evidence.measured(ResultTable(["x"], [["x"]], EVIL)),
    ],
)
def test_text_from_outside_is_escaped(html: str) -> None:
    assert SHOWN in html
    assert "<script" not in html


def _hits(found: dict[str, list[RankedHit]]) -> str:
    return present.hit_cards({name: [(hit, "") for hit in hits] for name, hits in found.items()}, "mine")


def _plain(html: str) -> list[str]:
    """Return the texts between tags."""
    return [text.strip() for text in re.split(r"<[^>]*>", html) if text.strip()]


def test_similarity_shows_three_decimals_and_the_percentile() -> None:
    html = present.similarity_cards({"base": 0.98765, "sempa": -0.25}, {"base": 0.5, "sempa": 0.9995}, "mine")
    base, sempa = html.split('<div role="group"')[1:]
    assert _plain(f"<div{base}")[:3] == ["Base", "adapter off", "0.988"]
    assert "More similar than 50.0% of random pairs" in base
    assert _plain(f"<div{sempa}")[:3] == ["SemPA", "adapter mine", "-0.250"]
    assert "More similar than 99.9% of random pairs" in sempa


def test_without_a_percentile_nothing_is_claimed() -> None:
    html = present.similarity_cards({"base": 0.25}, {}, "")
    assert "0.250" in html
    assert "random pairs" not in html


def test_a_plot_shows_the_pairs_among_random_ones_of_the_same_model() -> None:
    crowds = {"base": np.array([0.801, 0.805, 0.95], np.float32), "sempa": np.array([-0.5, 0.11], np.float32)}
    drawn = plots.random_pairs(crowds, {"base": [0.9, 0.7], "sempa": [0.2, 0.1]}, ["one", EVIL])
    assert drawn
    traces = json.loads(drawn.plot)["data"]
    assert EVIL not in drawn.plot
    heights = {
        trace["yaxis"]: dict(zip(trace["x"], trace["y"], strict=True))
        for trace in traces
        if "y" in trace and trace.get("type") == "bar"
    }
    assert {x: y for x, y in heights["y1"].items() if y} == {0.81: 1.0, 0.95: 0.5}
    assert {x: y for x, y in heights["y2"].items() if y} == {0.11: 1.0}  # one of two lies outside the axis
    marks = [(trace["yaxis"], trace["x"]) for trace in traces if trace.get("type") != "bar"]
    assert marks == [("y1", [0.9]), ("y1", [0.7]), ("y2", [0.2]), ("y2", [0.1])]
    assert plots.random_pairs(crowds, {}, ["one"]) is None


def test_a_hit_says_its_rank_cosine_and_topic() -> None:
    html = _hits({"base": [_hit(4, 3, topic="sea", cosine=1.0000002)]})
    assert "4. cosine 1.000 sea More like this Copy" in " ".join(_plain(html))


@pytest.mark.parametrize(
    ("texts", "done", "expected"),
    [
        ([""], False, ["…"]),
        ([""], True, ["nothing written"]),
        (["one", ""], False, ["one", "…"]),
        (["one", ""], True, ["one", "nothing written"]),
    ],
)
def test_empty_answers_are_said(texts: Sequence[str], done: bool, expected: list[str]) -> None:
    assert _plain(present.text_cards({"base": texts}, "mine", done=done))[2:] == expected


def test_a_measured_table_shows_every_cell_and_how_it_was_measured() -> None:
    html = evidence.measured(ResultTable(["set", "base"], [["a", "41.00"], ["b", "42.00"]], "two cores"))
    rows = [_plain(row) for row in re.findall("<tr>.*?</tr>", html)]
    assert rows == [["set", "Base"], ["a", "41.00"], ["b", "42.00"]]
    assert "two cores" in html


def test_every_template_can_be_chosen_with_its_words_shown() -> None:
    choices = paraphrase.choices()
    assert [value for _, value in choices] == list(PARAPHRASE_TEMPLATES)
    for shown, value in choices:
        assert shown == f"{value}: {PARAPHRASE_TEMPLATES[value].replace('{sentence}', '…')}"


def test_ten_buttons_have_ten_names() -> None:
    html = _hits({"base": [_hit(1, 1, text="One."), _hit(2, 2, text="Two.")]})
    assert re.findall('aria-label="(More [^"]*)"', html) == ["More like this: One.", "More like this: Two."]


def test_an_answer_that_was_cut_off_says_so() -> None:
    html = present.text_cards({"base": ["One"], "sempa": ["Two"]}, "mine", done=True, cut={"Two"})
    base, sempa = html.split('<div role="group"')[1:]
    assert CUT not in base
    assert CUT in sempa


def test_a_candidate_shows_its_new_and_lost_words_and_what_is_wrong() -> None:
    fine = Candidate("A feline <sat>.", 1, 0.9, 0.999, 1 / 3, ("cat",), (), 0.25)
    bad = Candidate("A cat", 2, 0.9, 0.999, 0.0, ("sat",), (CUT, FACTS), -1.5)
    html = present.candidate_cards({"sempa": [fine, bad]}, "mine", "A cat sat.")
    first, second = html.split("<li>")[1:]
    assert 'A <mark class="sp-new">feline</mark> &lt;sat&gt;.' in first
    assert "without: cat" in first
    assert "preference +0.25" in first
    assert "sp-wrong" not in first
    assert CUT in second
    assert f'<b class="sp-wrong">{FACTS}</b>' in second
    assert "<mark" not in second
