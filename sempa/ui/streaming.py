"""Stream to the page: texts as they are written, and long work with its progress."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

import gradio as gr

from sempa.models.generate import Texts
from sempa.ui.events import OPENING, PRIVATE, SEND, Context, Stops, ask, examples, for_people, grey_out
from sempa.ui.present import say, text_cards

REDRAW_SECONDS = 0.1

Write = Callable[..., Iterator[str]]
"""Answers (studio, text, stopped, settings by name) with both models, as HTML that grows."""
_Done = TypeVar("_Done")


def shown(
    texts: Iterator[Texts], adapter: str, most: int, judged: Callable[[Texts, Collection[str]], str] | None = None
) -> Iterator[str]:
    """Yield what has been written as cards, ten times a second at most, and at the end complete.

    An answer that still grows with its `most`-th token is marked as cut off. `judged` may make the last cards, from
    the texts and those that were cut off.
    """
    last: Texts = {}
    before: Texts = {}
    drawn, tokens = 0.0, 0
    for now in texts:
        before, last, tokens = last, now, tokens + 1
        if time.monotonic() - drawn >= REDRAW_SECONDS:
            drawn = time.monotonic()
            yield text_cards(last, adapter, done=False)
    if not last:
        yield say("Stopped before the first word.")
        return
    grown = {
        text for name, row in last.items() for text, was in zip(row, before.get(name, row), strict=True) if text != was
    }
    cut = grown if tokens >= most else set()
    yield text_cards(last, adapter, done=True, cut=cut)
    if judged:
        yield judged(last, cut)


class Once:
    """Write a worked example for the first visitor who does not stop it, and show the same answer to those after."""

    def __init__(self, write: Callable[[Callable[[], bool]], Iterator[str]]) -> None:
        self._write = write
        self._answer: str | None = None

    def stream(self, stopped: Callable[[], bool]) -> Iterator[str]:
        """Yield the example as it grows, or complete if it has been written before."""
        if self._answer is not None:
            yield self._answer
            return
        last = ""
        for last in self._write(stopped):
            yield last
        if not stopped():
            self._answer = last


def build_writing(
    context: Context,
    tab: str,
    field: tuple[str, str],
    texts: Sequence[str],
    run: str,
    settings: Callable[[], Mapping[str, Any]],
    write: Write,
) -> tuple[gr.Textbox, gr.HTML]:
    """Build a tab where both models write: a text, run and stop, settings, streamed cards, examples.

    `field` is the text's name in links and its label; `settings` builds the fields that `write` takes.
    """
    stops = Stops()
    name, label = field
    text = gr.Textbox(texts[0], label=label, elem_id=f"{tab}-{name}")
    with gr.Row():
        start = gr.Button(run, variant="primary", elem_id=f"{tab}-run")
        stop = gr.Button("Stop", elem_id=f"{tab}-stop")
    with gr.Accordion("Prompt and sampling", open=False, elem_id=f"{tab}-settings"):
        parts = settings()
    context.links.add(tab, **{name: text}, **parts)
    out = gr.HTML(say("Writing the worked example …"), elem_id=f"{tab}-out", label="Answers", js_on_load=SEND)
    first = {key: part.value for key, part in parts.items()}
    example = Once(lambda stopped: write(context.studio, texts[0], stopped, **first))

    def show_example(request: gr.Request) -> Iterator[str]:
        with stops.running(request.session_hash) as stopped:
            yield from example.stream(stopped)

    def answer(request: gr.Request, text: str, adapter: str, *values: Any) -> Iterator[str]:
        with stops.running(request.session_hash) as stopped:
            yield from write(context.adapters.choose(adapter), text, stopped, **dict(zip(parts, values, strict=True)))

    def stop_writing(request: gr.Request) -> None:
        stops.stop(request.session_hash)

    opened = context.page.load(for_people(show_example, outputs=out), None, out, **OPENING, **PRIVATE)
    # Gradio's page sends an event's cancellations after its own answer, so they are events of their own, put before it.
    started = [start.click, text.submit]
    gr.on(started, None, cancels=[opened], **PRIVATE)
    ask(started, answer, [text, context.adapter, *parts.values()], out)
    grey_out([context.adapter.change], [out])
    # Not by Gradio's cancellation, which now and then ends in an error without words.
    stop.click(stop_writing, None, None, queue=False, **PRIVATE)
    examples([[text] for text in texts], [text])
    return text, out


class _Left(Exception):
    """Raised in work whose visitor has left."""


def worked(call: Callable[[Callable[[str], None]], _Done]) -> Iterator[tuple[str, _Done | None]]:
    """Yield each line `call` reports as (line, None), and at the end ("", what it returns).

    `call` runs on a thread of its own and is ended at its next report once the iterator is closed.
    Raises: what `call` raises.
    """
    said: SimpleQueue[str | None] = SimpleQueue()
    left = threading.Event()
    outcome: list[_Done] = []
    failed: list[BaseException] = []

    def report(line: str) -> None:
        if left.is_set():
            raise _Left
        said.put(line)

    def work() -> None:
        try:
            outcome.append(call(report))
        except BaseException as error:  # it is raised again where the visitor waits
            failed.append(error)
        said.put(None)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (line := said.get()) is not None:
            yield line, None
        if failed:
            raise failed[0]
        yield "", outcome[0]
    finally:
        left.set()


def tabled(
    call: Callable[[Callable[[str], None]], _Done], view: Callable[[_Done], tuple[Any, ...]], views: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the progress of long work in the first of `views` outputs, and at the end all of them by `view`."""
    for line, done in worked(call):
        yield (say(line), *[gr.skip()] * (views - 1)) if done is None else view(done)
