"""Mistakes become messages, bugs keep their traceback, and Stop affects only its own visitor."""

import inspect
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from sempa.data.scored_pairs import read_scored_pairs
from sempa.errors import InputError, SempaError
from sempa.evaluation.candidates import CUT
from sempa.ui.events import Stops, for_people, seed_field, slider
from sempa.ui.streaming import Once, shown


def _answers(what: Exception | None) -> str:
    if what:
        raise what
    return "answer"


def _streams(what: Exception | None) -> Iterator[str]:
    yield "first"
    if what:
        raise what
    yield "last"


class Face:
    def answers(self, what: Exception | None) -> str:
        return _answers(what)

    def streams(self, what: Exception | None) -> Iterator[str]:
        yield from _streams(what)


def _run(handler: Any, what: Exception | None) -> list[str]:
    made = for_people(handler)(what)
    return [made] if isinstance(made, str) else list(made)


HANDLERS = [_answers, _streams, Face().answers, Face().streams]


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("kind", [SempaError, InputError])
def test_a_mistake_becomes_a_message(handler: Any, kind: type[SempaError]) -> None:
    with pytest.raises(gr.Error) as caught:
        _run(handler, kind("k is 0: choose 1 to 100."))
    assert caught.value.message == "k is 0: choose 1 to 100."
    assert not caught.value.print_exception
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_visitor_s_words_are_no_markup_in_a_message(handler: Any) -> None:
    """Gradio renders messages as HTML, and a link can inject text, such as a form that asks for a password."""
    mistake = InputError("Template '<form action=//x>' & is none.")
    with pytest.raises(gr.Error) as caught:
        _run(handler, mistake)
    assert caught.value.message == "Template '&lt;form action=//x&gt;' &amp; is none."
    with pytest.raises(gr.Error) as caught:
        list(for_people(handler, shown=str)(mistake))
    assert caught.value.message == str(mistake)


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_mistake_stands_where_the_answer_would_and_older_charts_go(handler: Any) -> None:
    with gr.Blocks():
        fields = [gr.Dropdown(["a"]), gr.HTML(), gr.Plot(), gr.HTML(), gr.DownloadButton()]
    answered = for_people(handler, outputs=fields)(InputError("<b> is no name."))
    kept, said, chart, other, table = [*answered][-1] if inspect.isgenerator(answered) else answered
    assert "&lt;b&gt; is no name." in said
    assert 'role="alert"' in said
    assert kept == other == gr.skip()
    assert chart == table == gr.update(visible=False)
    alone = for_people(handler, outputs=fields[1])(InputError("No."))
    assert (([*alone][-1]) if inspect.isgenerator(alone) else alone) == said.replace("&lt;b&gt; is no name.", "No.")


@pytest.mark.parametrize("handler", HANDLERS)
def test_an_upload_goes_by_the_name_its_owner_gave_it(handler: Any, tmp_path: Path) -> None:
    """The message must not reveal Gradio's folder."""
    (tmp_path / "my pairs.csv").write_text("score\n1\n", encoding="utf-8")
    kept = save_file_to_cache(tmp_path / "my pairs.csv", cache_dir=get_upload_folder())
    try:
        with pytest.raises(gr.Error) as caught:
            _run(handler, InputError(f"{kept} has no column sentence1."))
        assert caught.value.message == "my pairs.csv has no column sentence1."
        with pytest.raises(gr.Error) as caught:
            _run(lambda path: read_scored_pairs(Path(path)), kept)
        assert caught.value.message == "my pairs lacks the columns sentence1, sentence2."
    finally:
        shutil.rmtree(Path(kept).parent)


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_bug_stays_a_bug(handler: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        _run(handler, ZeroDivisionError())


@pytest.mark.parametrize("handler", HANDLERS)
def test_answers_pass_through_and_streams_stay_streams(handler: Any) -> None:
    streams = inspect.isgeneratorfunction(inspect.unwrap(handler))
    assert _run(handler, None) == (["first", "last"] if streams else ["answer"])
    assert inspect.isgeneratorfunction(for_people(handler)) == streams


def test_closing_a_stream_closes_the_handler() -> None:
    closed: list[bool] = []

    def handler() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    stream = for_people(handler)()
    next(stream)
    stream.close()
    assert closed == [True]


def test_stop_reaches_only_the_visitor_who_asks() -> None:
    stops = Stops()
    with stops.running("ada") as ada, stops.running("bob") as bob, stops.running(None) as nobody:
        assert (ada(), bob(), nobody()) == (False, False, False)
        stops.stop("ada")
        assert (ada(), bob(), nobody()) == (True, False, False)
        stops.stop(None)
        stops.stop("carol")
        assert (bob(), nobody()) == (False, False)


def test_a_stop_does_not_outlive_the_writing_it_was_meant_for() -> None:
    stops = Stops()
    with stops.running("ada") as first:
        stops.stop("ada")
        assert first()
    stops.stop("ada")
    with stops.running("ada") as second:
        assert not second()


def test_the_end_of_an_older_writing_leaves_the_newer_one_stoppable() -> None:
    stops = Stops()
    older = stops.running("ada")
    older.__enter__()
    with stops.running("ada") as newer:
        older.__exit__(None, None, None)
        stops.stop("ada")
        assert newer()


def test_growing_texts_end_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.2, 0.2, 0.25, 0.29, 0.31, 0.31, 0.35])
    monkeypatch.setattr("sempa.ui.streaming.time.monotonic", lambda: next(clock))
    texts = [{"base": ["a" * n]} for n in range(1, 6)]
    cards = list(shown(iter(texts), "mine", 9))
    assert [card.count("a" * 5) for card in cards][-1] == 1
    assert [max(n for n in range(6) if "a" * n + "<" in card) for card in cards] == [1, 4, 5]
    assert list(shown(iter([]), "mine", 9)) == [
        '<div class="sp-say" role="status">Stopped before the first word.</div>'
    ]


def test_an_answer_that_still_grows_at_the_token_limit_is_cut() -> None:
    texts = [{"base": ["One."], "sempa": ["a"]}, {"base": ["One."], "sempa": ["a b"]}]
    *_, ended = shown(iter(texts), "mine", 3)
    *_, cut = shown(iter(texts), "mine", 2)
    assert CUT not in ended
    assert cut.count(CUT) == 1
    assert cut.index("a b") < cut.index(CUT)


@pytest.mark.parametrize("given", [None, 0, 21, 3.7, "5", [5]])
def test_a_number_that_cannot_be_is_refused_by_its_label_and_bounds(given: float | None) -> None:
    with gr.Blocks():
        hits = slider(1, 20, 5, "Hits")
    with pytest.raises(gr.Error) as caught:
        for_people(str)(hits.preprocess(given))
    assert caught.value.message == "Hits: choose a whole number from 1 to 20."
    assert hits.preprocess(20.0) == 20


def test_fractions_and_whole_numbers_are_checked_as_such() -> None:
    with gr.Blocks():
        temperature, seed = slider(0, 1.5, 1, "Temperature", step=0.05), seed_field(7)
    assert temperature.preprocess(0.35) == 0.35
    with gr.Blocks():
        free = gr.Number(None, label="Limit")
    assert (free.preprocess(3), free.preprocess(None)) == (3, None)
    assert str(free.preprocess("3")) == "Limit: enter a number."
    assert str(temperature.preprocess(None)) == "Temperature: choose a number from 0 to 1.5."
    assert str(seed.preprocess(None)) == "Seed: choose a whole number from 0 to 4,294,967,295."


def test_a_worked_example_is_written_once() -> None:
    written: list[int] = []

    def write(stopped: Callable[[], bool]) -> Iterator[str]:
        written.append(1)
        for text in ("a", "ab", "abc"):
            yield text
            if stopped():
                return

    def on() -> bool:
        return False

    once = Once(write)
    leaver = once.stream(on)
    assert next(leaver) == "a"
    leaver.close()
    assert list(once.stream(lambda: True)) == ["a"]
    assert list(once.stream(on)) == ["a", "ab", "abc"]
    assert list(once.stream(on)) == ["abc"]
    assert written == [1, 1, 1]
