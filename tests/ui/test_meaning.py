"""The Meaning tab says which candidate each method puts nearest, and counts right answers truly."""

import json
import re

import pytest

from sempa.data.rows import read_rows
from sempa.evaluation.contrast import CONTRAST
from sempa.service.meaning import Question, Ranking
from sempa.service.studio import Studio
from sempa.ui import meaning

EVIL = "<script>alert('1')</script>"
SAME, OTHER = "No bread is left.", "Bread is left."
RANKING = Ranking(
    Question("The bread has run out.", (OTHER, SAME)),
    {"base": [0.99, 0.94], "sempa": [0.7, 0.9], "preference": [-0.1, 0.2]},
)


def _plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_a_sentence_says_what_follows_from_the_scores() -> None:
    assert _plain(meaning.finding(RANKING, SAME)) == (
        "Base puts the edit 0.050 nearer; SemPA puts the paraphrase 0.200 nearer; "
        "SemPA by preference puts the paraphrase 0.300 nats per token nearer."
    )
    assert "Base puts “Bread is left.” 0.050 nearer" in _plain(meaning.finding(RANKING))
    level = Ranking(RANKING.question, {"base": [0.9, 0.9]})
    assert _plain(meaning.finding(level, SAME)) == "Base puts both equally near."


def test_cards_rank_and_judge_only_where_the_answer_is_known() -> None:
    base, sempa, preferred = meaning.ranking_cards(RANKING, "mine", SAME).split('<div role="group"')[1:]
    assert f"{OTHER} 0.990 nearest ✗ wrong {SAME} 0.940 0.050 behind" in _plain(base)
    assert f"{SAME} 0.900 nearest ✓ right {OTHER} 0.700 0.200 behind" in _plain(sempa)
    assert f"{SAME} 0.200 nearest ✓ right {OTHER} -0.100 0.300 behind" in _plain(preferred)
    unknown = meaning.ranking_cards(RANKING, "mine")
    assert "right" not in _plain(unknown)
    assert "wrong" not in _plain(unknown)


def test_texts_are_escaped() -> None:
    evil = Ranking(Question(EVIL, (EVIL, SAME)), {"base": [1.0, 0.5]})
    assert "<script" not in meaning.ranking_cards(evil, EVIL)
    assert "<script" not in meaning.ranking_cards(evil, EVIL, SAME)


def test_the_tally_counts_what_each_score_alone_decides(studio: Studio) -> None:
    right = {"base": 0, "sempa": 0, "preference": 0}
    hard = 0
    for one in meaning.EXAMPLES:
        same, other = ({**studio.similarity(one.sentence, text)} for text in (one.paraphrase, one.edit))
        same["preference"], other["preference"] = (
            studio.preference(one.sentence, text) for text in (one.paraphrase, one.edit)
        )
        for method in right:
            right[method] += same[method] > other[method]
        hard += not any(same[method] > other[method] for method in right)
    tally, table = meaning.gallery(studio)
    counts = " · ".join(
        f"{meaning.NAMES[method]} {count} of {len(meaning.EXAMPLES)}" for method, count in right.items()
    )
    assert counts in _plain(tally)
    assert table.count('aria-label="right"') == sum(right.values())
    assert table.count("still hard") == hard
    assert table.count("data-text=") == len(meaning.EXAMPLES)


def test_the_contrast_figure_stands_beside_the_tally(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = {"kinds": {"all": {"items": 258, "figure": 66.0, "low": 60.1, "high": 71.4}}}
    result = {"kind": "contrast", "split": "test", "methods": {"base": figure, "MiniLM": figure}}
    monkeypatch.setattr(studio, "results", lambda: [{"kind": "sts"}, result])
    said = meaning._measured(studio)
    assert said == "Ten examples measure little. On the contrast test, 258 such triplets: Base 66.0 % (60.1 to 71.4)."


def test_an_example_is_recognised_and_other_sentences_are_not(studio: Studio) -> None:
    one = meaning.EXAMPLES[0]
    html, drawn = meaning.answer(studio, one.sentence, f"{one.edit}\n\n {one.paraphrase} \n")
    assert re.search("✓ right|✗ wrong", html)
    marks = [trace for trace in json.loads(drawn.plot)["data"] if trace.get("type") != "bar"] if drawn else []
    cosines = studio.similarity(one.sentence, one.edit)
    assert [trace["x"][0] for trace in marks[::2]] == pytest.approx([cosines["base"], cosines["sempa"]], abs=1e-4)
    assert not re.search("✓|✗", meaning.answer(studio, one.sentence, f"{one.edit}\nsomething else")[0])


def test_no_example_is_in_the_contrast_set() -> None:
    known = {text for row in read_rows(CONTRAST) for text in row.values()}
    assert known
    for one in meaning.EXAMPLES:
        assert not known & {one.sentence, one.paraphrase, one.edit}
