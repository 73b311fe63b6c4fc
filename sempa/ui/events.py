"""What every event of the page shares: errors for people, one lane for the model, stopping, and the GPU if rented."""

import functools
import html
import importlib.util
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from sempa.errors import SempaError

LANE = {"concurrency_id": "model", "concurrency_limit": 4}
"""All events that compute share four places; the model's own lock keeps them right, the queue keeps them fair."""
LONG = {"concurrency_id": "long", "concurrency_limit": 2}
"""What takes minutes has places of its own, so that nobody's question waits until texts of others are read."""
OPENING = {"concurrency_id": "opening", "concurrency_limit": 1}
"""The worked examples of a page just opened: one at a time, since all after the first are shown what it got."""
PRIVATE = {"api_visibility": "private"}
GPU_SECONDS = 60
SEND = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-text]');
  if (button) trigger('select', {value: button.dataset.text, index: 0});
});
"""
"""For cards drawn as HTML: tell Python which of their buttons was pressed, by the text it stands for."""


def as_text(message: object) -> str:
    """Return a message that Gradio, which draws messages as HTML, shows as it is: visitors' own words are in it."""
    return html.escape(str(message), quote=False)


def _by_own_names(error: SempaError) -> str:
    """Return an error's message with uploads by the names their owners know, not by the place they are kept at.

    Gradio keeps each in a folder named by a SHA-256; a data set goes by its folder and name.
    """
    return re.sub(rf"({re.escape(get_upload_folder())}[/\\])?\b[0-9a-f]{{64}}[/\\]", "", str(error))


def for_people(handler: Callable[..., Any], told: Callable[[object], str] = as_text) -> Callable[..., Any]:
    """Turn a SempaError of a handler into a message on the page; anything else stays a bug and a traceback."""
    if _is_generator(handler):

        @functools.wraps(handler)
        def streamed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from handler(*args, **kwargs)
            except SempaError as error:
                raise gr.Error(told(_by_own_names(error)), print_exception=False) from error

        return on_gpu(streamed)

    @functools.wraps(handler)
    def answered(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except SempaError as error:
            raise gr.Error(told(_by_own_names(error)), print_exception=False) from error

    return on_gpu(answered)


def _is_generator(handler: Callable[..., Any]) -> bool:
    import inspect

    return inspect.isgeneratorfunction(inspect.unwrap(getattr(handler, "__func__", handler)))


def on_gpu(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Run a handler on a ZeroGPU Space's rented GPU; elsewhere return it as it is."""
    if importlib.util.find_spec("spaces") is None:
        return handler
    import spaces

    rented: Callable[..., Any] = spaces.GPU(duration=GPU_SECONDS)(handler)
    return rented


def keep_asked(page: gr.Blocks) -> None:
    """Let what a visitor types, chooses and unfolds stand, however early; for a page with all its parts.

    Gradio draws the parts of a tab or an accordion when it is first opened and a frame later gives them their first
    values again, the worked example's, which would then be asked. It leaves alone what it has been told to show.
    """
    kinds = gr.components.FormComponent | gr.Accordion
    parts = [part for part in page.blocks.values() if isinstance(part, kinds) and part.visible]
    shown = f"() => Array({len(parts)}).fill({{__type__: 'update', visible: true}})"
    page.load(None, None, parts, js=shown, **PRIVATE)


class Stops:
    """Remember, for each visitor, whether the writing under way is to stop."""

    def __init__(self) -> None:
        self._flags: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    @contextmanager
    def running(self, visitor: str | None) -> Iterator[Callable[[], bool]]:
        """Hold a flag for one visitor while a text is written; yields a function that says whether to stop."""
        flag = threading.Event()
        with self._lock:
            if visitor:
                self._flags[visitor] = flag
        try:
            yield flag.is_set
        finally:
            with self._lock:
                if visitor and self._flags.get(visitor) is flag:
                    del self._flags[visitor]

    def stop_of(self, request: gr.Request) -> None:
        """Stop the writing of the visitor who asks."""
        self.stop(request.session_hash)

    def stop(self, visitor: str | None) -> None:
        """Ask the writing of one visitor to stop before its next token."""
        with self._lock:
            if flag := self._flags.get(visitor or ""):
                flag.set()
