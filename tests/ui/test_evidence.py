"""Charts, key tokens and a visitor's own pairs: correct figures, external text escaped."""

import csv
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import FileData
from gradio.processing_utils import move_files_to_cache
from gradio.route_utils import delete_files_created_by_app

from sempa.data.scored_pairs import ScoredPairs
from sempa.errors import InputError
from sempa.evaluation.sts import MeasuredPairs
from sempa.evaluation.tokens import KeyToken
from sempa.service.studio import Studio
from sempa.ui.downloads import csv_file
from sempa.ui.evidence import evidence
from sempa.ui.own_pairs import measured_file, pairs_chart, pairs_view
from sempa.ui.plots import COLOURS
from sempa.ui.streaming import worked
from sempa.ui.tokens import token_cards, tokens_of

EVIL = "<script>alert('1')</script>\"&"
ROWS = [(5, "The hare is fast.", "The hare is quick."), (1, "The hound is ill.", "A cat sat."), (3, "=1+1", EVIL)]
RECIPE = {"template": "t", "layer": -1, "pooling": "last", "postprocess": None}


def _plain(html: str) -> list[str]:
    return [text.strip() for text in re.split(r"<[^>]*>", html) if text.strip()]


def test_tokens_show_how_the_sentence_has_them_without_colour_too() -> None:
    tokens = [KeyToken("cat", 3.0, "exact"), KeyToken("cats", 2.0, "stem"), KeyToken(EVIL, 1.0, "other")]
    html = token_cards({"base": tokens}, "")
    assert _plain(html)[2:4] == ["● cat", "◐ cats"]
    assert "2 of 3 occur in the sentence" in html
    assert "<script" not in html


def test_both_models_tokens_come_from_the_studio(studio: Studio) -> None:
    html = tokens_of(studio, "The hare is fast.")
    assert html.count('class="sp-token ') == sum(map(len, studio.key_tokens("The hare is fast.").values())) > 2


def _pairs(count: int = 12) -> MeasuredPairs:
    pairs = ScoredPairs(
        "own", tuple(f"a{i}" for i in range(count)), (EVIL, *(f"b{i}" for i in range(1, count))), tuple(range(count))
    )
    base = np.arange(count, dtype=np.float32) / count
    sempa = base.copy()
    sempa[[0, -1]] = sempa[[-1, 0]]  # swapping first and last gives the largest disagreement
    figures = {"base": {"spearman": 100.0}, "sempa": {"spearman": 12.5}}
    return MeasuredPairs(pairs, {"base": base, "sempa": sempa}, figures)


def test_pairs_the_models_rank_differently_come_first() -> None:
    measured = _pairs()
    assert set(measured.disagreement()[:2]) == {0, 11}
    html = pairs_view(measured, "mine")
    drawn = json.loads(pairs_chart(measured).plot)["data"]
    assert [(one["name"], len(one["x"]), one["marker"]["color"]) for one in drawn] == [
        ("Base", 12, COLOURS["base"]),
        ("SemPA", 12, COLOURS["sempa"]),
    ]
    assert "<script" not in html
    body = html.split("<tbody>")[1]
    assert body.count("<tr>") == 10
    assert "a0" in body.split("</tr>")[0] + body.split("</tr>")[1]
    assert "Spearman x100 of 12 pairs" in html


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("score", "sentence1", "sentence2"), *ROWS])
    return path


def test_a_file_is_measured_with_progress_and_a_table(studio: Studio, file: Path) -> None:
    *before, (view, download, chart) = measured_file(studio, str(file))
    assert all("Computing vectors" in line for line, *_ in before)
    assert view.count("sp-figure") == 2
    assert chart["visible"]
    table = download["value"]
    with open(table, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["score", "sentence1", "sentence2", "cosine_base", f"cosine_{studio.adapter}"]
    for row in rows:
        first, second = (row[name].removeprefix("'") for name in ("sentence1", "sentence2"))
        assert float(row["cosine_base"]) == pytest.approx(studio.similarity(first, second)["base"], abs=1e-4)
    assert {row["sentence1"] for row in rows} >= {"'=1+1"}  # not a spreadsheet formula


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "lacks the columns"),
        ("score,sentence1,sentence2\n", "contains no scored pair"),
        ("score,sentence1,sentence2\nx,a,b\n", "not a number"),
        ("score,sentence1,sentence2\n1,a,\n2,b,c\n", "is empty"),
        ("score,sentence1,sentence2\n" + "1,a,b\n" * 1001, "1,001 pairs, but the page takes at most 1,000"),
        ("score,sentence1,sentence2\n1,a,b\n1,c,d\n", "at least two different values"),
    ],
)
def test_a_faulty_file_is_one_sentence(studio: Studio, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError, match=says):
        list(measured_file(studio, str(tmp_path / "bad.csv")))


def test_no_file_asks_for_one(studio: Studio) -> None:
    with pytest.raises(InputError, match="Choose a file first"):
        measured_file(studio, None)


def test_work_tells_its_progress_and_ends_when_the_visitor_leaves() -> None:
    reported: list[int] = []

    def work(report: Callable[[str], None]) -> int:
        for number in range(1000):
            report(str(number))
            reported.append(number)
            time.sleep(0.001)
        return 7

    lines = worked(work)
    assert next(lines) == ("0", None)
    lines.close()
    time.sleep(0.1)
    stopped = len(reported)
    time.sleep(0.1)
    assert len(reported) == stopped < 1000


def test_work_s_result_and_its_errors_reach_the_visitor() -> None:
    assert list(worked(lambda report: report("a") or 7)) == [("a", None), ("", 7)]
    with pytest.raises(InputError, match="wrong"):
        list(worked(lambda _: (_ for _ in ()).throw(InputError("wrong"))))


def test_a_table_is_gone_after_an_hour() -> None:
    """It is in Gradio's cache, which `delete_cache` clears of files that the page served."""
    with gr.Blocks() as page:
        button = gr.DownloadButton()
    path = Path(csv_file("a", ["x", "y"], [("=1", 0.123456)]))
    handed = move_files_to_cache(FileData(path=str(path)).model_dump(), button, postprocess=True)
    assert Path(handed["path"]) == path, "no second copy"
    assert path.read_text().split() == ["x,y", "'=1,0.1235"]
    delete_files_created_by_app(page, 3600)
    assert path.is_file()
    delete_files_created_by_app(page, -1)
    assert not path.is_file()


def test_a_result_is_a_line_that_unfolds() -> None:
    tasks = {EVIL: {"measure": "accuracy", "items": 9, "base": {"figure": 1.0}, "sempa": {"figure": 2.0}}}
    tasks[EVIL]["change"] = {"figure": 1.0, "low": 0.5, "high": 1.5, "p": 0.01}
    result = {"kind": "paired", "what": "generation", "measure": "Tasks", "data": {"name": "d"}, "tasks": tasks}
    shown = {**result, "recipes": {"base": {}, "sempa": {}}, "hardware": "h"}
    first, second = evidence([shown, {**shown, "what": "paraphrase"}]).split("</details>")[:2]
    assert _plain(first)[:2] == ["Knowledge and writing", "better on 1 of 1, worse on 0 (at the 5% level)"]
    assert "<details class='sp-result' open>" in first
    assert "<details class='sp-result'>" in second
    assert "<script" not in first + second


def test_what_is_gained_comes_first_and_then_what_it_costs() -> None:
    task = {"measure": "accuracy", "items": 9, "base": {"figure": 1.0}, "sempa": {"figure": 2.0}}
    task["change"] = {"figure": 1.0, "low": 0.5, "high": 1.5, "p": 0.01}
    common = {"measure": "m", "data": {"name": "d"}, "recipes": {"base": RECIPE, "sempa": {}}}
    paired = {**common, "kind": "paired", "hardware": "h"}
    score = {variant: {"spearman": 1.0} for variant in ("base", "sempa")}
    score["change"] = {"spearman": 0.0, "low": -1.0, "high": 1.0}
    sts = {**common, "kind": "sts", "what": "sts", "hardware": "h"}
    results = [
        {**paired, "what": "paraphrase", "tasks": {"p": task}},
        {**paired, "what": "generation", "tasks": {"drop": task}},
        {**sts, "text": "one set", "sets": {"a": score}},
        {**paired, "what": "generation", "tasks": {"arc_easy": task, "sciq": task}},
        {**sts, "text": "two sets", "sets": {"a": score, "b": score}},
    ]
    titles = [_plain(part)[0] for part in evidence(results).split("</details>")[:-1]]
    assert titles == [
        "Similarity, two sets",
        "Similarity, one set",
        "Knowledge and writing",
        "Knowledge and writing, drop",
        "Paraphrases",
    ]
