"""Stream to the page: generated text, and long work with its progress."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

import gradio as gr

from sempa.models.generate import Texts
from sempa.models.prompts import NO_CHAT_FORMAT
from sempa.ui.events import OPENING, PRIVATE, SEND, Context, Stops, ask, examples, for_people, grey_out
from sempa.ui.present import note, say, text_cards

REDRAW_SECONDS = 0.1

Write = Callable[..., Iterator[str]]
"""Maps (studio, text, stopped, settings by name) to both models' answers as growing HTML."""
_Done = TypeVar("_Done")


def shown(
    texts: Iterator[Texts], adapter: str, most: int, judged: Callable[[Texts, Collection[str]], str] | None = None
) -> Iterator[str]:
    """Yield the texts so far as cards, at most ten times per second, and at the end complete.

    Answers that reach `most` tokens without ending are marked as cut. `judged` may build the final cards from the
    texts and the answers cut.
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
    """Generate a worked example once, for the first visitor who lets it finish, and show it to later visitors."""

    def __init__(self, write: Callable[[Callable[[], bool]], Iterator[str]]) -> None:
        self._write = write
        self._answer: str | None = None

    def stream(self, stopped: Callable[[], bool]) -> Iterator[str]:
        """Yield the example as it is generated, or the complete text if it exists."""
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
    """Build a generation tab: a text field, run and stop, settings, streamed cards, examples.

    `field` is the text field's name in links and its label; `settings` builds the fields passed to `write`.
    """
    stops = Stops()
    name, label = field
    if not context.studio.pair.tokenizer.chat_template:
        gr.HTML(note(NO_CHAT_FORMAT))
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
    # Gradio's page cancels other events only after an event's own answer, so cancelling is a separate event before it.
    started = [start.click, text.submit]
    gr.on(started, None, cancels=[opened], **PRIVATE)
    ask(started, answer, [text, context.adapter, *parts.values()], out)
    grey_out([context.adapter.change], [out])
    # Not by Gradio's cancellation, which sometimes ends in an empty error.
    stop.click(stop_writing, None, None, queue=False, **PRIVATE)
    examples([[text] for text in texts], [text])
    return text, out


class _Left(Exception):
    """Raised in a worker whose visitor has left."""


def worked(call: Callable[[Callable[[str], None]], _Done]) -> Iterator[tuple[str, _Done | None]]:
    """Yield each line that `call` reports as (line, None), and finally ("", result).

    `call` runs on its own thread; after the iterator is closed, it ends at its next report.
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
        except BaseException as error:  # re-raised in the visitor's thread
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
    """Yield the progress of long work in the first of `views` outputs, and finally all outputs from `view`."""
    for line, done in worked(call):
        yield (say(line), *[gr.skip()] * (views - 1)) if done is None else view(done)
