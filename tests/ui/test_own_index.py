"""A visitor's own texts: embedded, searched like any index, private, and rejected in one sentence if unusable."""

import csv
import json
import re
from pathlib import Path

import gradio as gr
import pytest
from gradio.state_holder import StateHolder

from sempa.errors import InputError
from sempa.service.adapters import Adapters
from sempa.service.studio import Studio
from sempa.ui.own_index import (
    BOTH,
    KEPT_SECONDS,
    NO_HEADER,
    choices,
    columns,
    given_corpus,
    made,
    preview,
    suggested_name,
    visitor_state,
)
from sempa.ui.search import find

LINES = "The hare is fast.\n\n  The hound is ill. \nA cat sat."


def test_pasted_lines_become_an_index_that_is_searched_like_any_other(adapters: Adapters, studio: Studio) -> None:
    *before, (view, key) = made(studio, given_corpus(None, None, LINES), " pasted ", "ada", public=False)
    assert all("Computing vectors" in line and found is None for line, found in before)
    assert "per second" in before[-1][0]
    assert 'value="6" max="6"' in before[-1][0], "one bar over both models"
    assert len(before) >= 2
    assert "3 texts are ready" in view
    assert key is not None
    assert ("pasted (yours)", key) in choices(adapters, "ada")
    assert ("pasted (yours)", key) not in choices(adapters, "bob")
    found = studio.search("The hare is fast.", key, 3)
    assert found["base"][0].hit.text == "The hare is fast."
    other = adapters.choose(adapters.names[1])
    *progress, last = find(other, "A cat sits.", key, 2)  # embedded with the other adapter at the first search
    assert any("Computing vectors: 3 of 3" in found.view for found in progress)
    assert last.view.count("sp-send") == 4
    studio.indexes.delete(key, "ada")


def test_hits_that_are_not_close_enough_are_left_out(studio: Studio) -> None:
    (every,) = find(studio, "The hare was fast.", "demo", 9)
    (few,) = find(studio, "The hare was fast.", "demo", 9, 100)
    assert every.view.count("sp-send") == 18
    assert few.view.count("sp-send") < 18
    assert every.table is not None
    head, *rows = Path(every.table).read_text(encoding="utf-8").splitlines()
    assert head == "query,index,model,rank,rank_in_other_model,cosine,text,topic"
    assert re.fullmatch(r"The hare was fast\.,demo,base,1,\d,[01]\.\d{4},The \w+ is \w+\.,animals", rows[0])
    assert len(rows) == 18


def test_a_text_is_no_hit_of_itself(studio: Studio) -> None:
    """More like this: both models rank the query text first, which is uninformative."""
    (found,) = find(studio, "The hare is fast.", "demo", 3)
    rows = list(csv.DictReader(Path(found.table).read_text(encoding="utf-8").splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2", "3"] * 2
    assert "The hare is fast." not in {row["text"] for row in rows}
    assert "left out" in found.view
    expected = studio.search("The hare is fast.", "demo", 4)["base"][1:]
    assert [row["text"] for row in rows[:3]] == [ranked.hit.text for ranked in expected]
    assert [int(row["rank_in_other_model"]) for row in rows[:3]] == [ranked.other_rank - 1 for ranked in expected]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", 'id,"the text"\n1,x\n', ["id", "the text"]),
        ("a.tsv", "id\tbody\tyear\n1\tA cat sat.\t2001\n", ["body", "year", "id"]),
        ("a.jsonl", json.dumps({"title": 1, "body": "x"}) + "\n", ["title", "body"]),
        ("a.jsonl", "{broken\n", []),
        ("a.txt", "a,b\n", []),
        ("a.csv", "", []),
    ],
)
def test_columns_are_offered(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    (tmp_path / name).write_text(text)
    assert columns(str(tmp_path / name)) == expected
    assert columns(None) == []


def test_a_file_s_column_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,body\n1,None\n2,x\n")
    corpus = given_corpus(str(tmp_path / "a.csv"), "body", " ")
    assert corpus.texts == ("None", "x")
    assert corpus.tags[0] == {"id": "1"}
    assert given_corpus(str(tmp_path / "a.csv"), "body", "never read") == corpus
    assert BOTH in preview(str(tmp_path / "a.csv"), "body", "never read")
    assert BOTH not in preview(str(tmp_path / "a.csv"), "body", " ")


def test_the_first_row_of_a_file_without_header_is_kept_and_it_is_said(tmp_path: Path) -> None:
    path = str(tmp_path / "a.csv")
    Path(path).write_text("The ferry left at dawn.,4\nRates rose.,5\nIt rained.,6\n")
    assert columns(path) == ["column 1", "column 2"]
    assert given_corpus(path, "column 1", "").texts == ("The ferry left at dawn.", "Rates rose.", "It rained.")
    assert NO_HEADER in preview(path, "column 1")
    Path(path).write_text("entry,n\nThe ferry left at dawn.,4\n")
    assert NO_HEADER not in preview(path, "entry")


def test_what_cannot_be_made_is_one_sentence(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no text yet"):
        given_corpus(None, None, " \n ")
    corpus = given_corpus(None, None, LINES)
    for name, says in (
        ("", "needs a name"),
        ("../up", "is not a valid index name"),
        ("demo", "An index named 'demo' already exists"),
    ):
        with pytest.raises(InputError, match=says):
            list(made(studio, corpus, name, "ada", public=False))
    monkeypatch.setattr("sempa.service.studio.MAX_TEXTS", 2)
    with pytest.raises(InputError, match="There are more than 2 texts, which is the limit of the page"):
        list(made(studio, corpus, "three", "ada", public=False))
    with pytest.raises(InputError, match="Text 1 has 6,000 characters"):
        list(made(studio, given_corpus(None, None, "x" * 6000), "long", "ada", public=False))
    assert studio.indexes.own_names("ada") == []


def test_leaving_in_the_middle_keeps_nothing(studio: Studio) -> None:
    corpus = given_corpus(None, None, "\n".join(f"Sentence {i}." for i in range(300)))
    steps = made(studio, corpus, "half", "ada", public=False)
    next(steps)
    steps.close()
    assert studio.indexes.own_names("ada") == []


@pytest.mark.parametrize("closed", [True, False])
def test_a_private_index_goes_an_hour_after_its_page_was_closed_and_a_day_after_its_last_use(
    adapters: Adapters, studio: Studio, closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, (_, key) = made(studio, given_corpus(None, None, LINES), "kept", "ada", public=False)
    *_, (_, other) = made(studio, given_corpus(None, None, LINES), "kept", "bob", public=False)
    assert key
    assert other
    with gr.Blocks() as page:
        state = visitor_state(adapters)
    holder = StateHolder()
    holder.set_blocks(page)
    session = holder["session"]
    session[state._id] = "ada"  # as every search writes it
    session.is_closed = closed
    holder.delete_all_expired_state()
    assert adapters.indexes.own_names("ada") == [key]
    assert (state.time_to_live, session.STATE_TTL_WHEN_CLOSED) == (KEPT_SECONDS, 3_600)
    monkeypatch.setattr(session if closed else state, "STATE_TTL_WHEN_CLOSED" if closed else "time_to_live", -1)
    session[state._id] = "ada"
    holder.delete_all_expired_state()
    with pytest.raises(InputError, match="Your index 'kept' has expired. Build it again."):
        studio.search("A cat sat.", key)
    assert adapters.indexes.own_names("bob") == [other]
    adapters.indexes.forget("bob")


@pytest.mark.parametrize(
    ("path", "taken", "expected"),
    [
        ("/a/My Notes (2).CSV", (), "my-notes-2"),
        ("/a/notes.txt", ("notes", "notes-2"), "notes-3"),
        ("/a/日本.txt", (), "my-texts"),
        (None, (), "my-texts"),
    ],
)
def test_an_index_is_named_after_its_file(path: str | None, taken: tuple[str, ...], expected: str) -> None:
    assert suggested_name(path, taken) == expected


def test_the_first_texts_are_shown_before_anything_is_embedded(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,body\n1,<b>\n2,x\n3,y\n4,z\n")
    seen = preview(str(tmp_path / "a.csv"), "body")
    assert "4 texts" in seen
    assert re.findall("<li>(.*?)</li>", seen) == ["&lt;b&gt;", "x", "y"]
    (tmp_path / "b.jsonl").write_text("{broken\n")
    assert str(tmp_path) not in preview(str(tmp_path / "b.jsonl"), None)
    assert preview(None, None) == ""


def test_only_its_maker_owns_an_index(studio: Studio) -> None:
    *_, (_, key) = made(studio, given_corpus(None, None, LINES), "owned", "ada", public=False)
    assert studio.indexes.owns(str(key), "ada")
    assert not studio.indexes.owns(str(key), "bob")
    assert not studio.indexes.owns("demo", "")
    studio.indexes.delete(str(key), "ada")
