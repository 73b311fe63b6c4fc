"""Connect components to handlers: error messages, queues, stopping, and a Space's ZeroGPU."""

import functools
import html
import inspect
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.utils import get_upload_folder

from sempa.errors import InputError, SempaError
from sempa.machine import on_gpu
from sempa.service.adapters import Adapters
from sempa.service.studio import Studio
from sempa.ui.present import refusal

if TYPE_CHECKING:
    from sempa.ui.links import Links

LANE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 4}
"""Events that compute share four slots in Gradio's queue; the model's lock keeps them correct."""
LONG: dict[str, Any] = {"concurrency_id": "long", "concurrency_limit": 2}
"""Long work has its own slots, so that short requests do not wait while texts are embedded."""
OPENING = {"concurrency_id": "opening", "concurrency_limit": 1}
"""Worked examples run one at a time: later pages show the result of the first."""
PRIVATE = {"api_visibility": "private"}
MAX_SEED = 2**32 - 1
SEND = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-text]');
  if (button) trigger('select', {value: button.dataset.text, index: 0});
});
"""
"""Sends Python the text of the button pressed in an HTML card."""


def as_text(message: object) -> str:
    """Escape a message that may contain a visitor's text: Gradio renders messages as HTML."""
    return html.escape(str(message), quote=False)


def _without_paths(error: SempaError) -> str:
    """Return an error's message with the names of uploads but without Gradio's folders."""
    return re.sub(rf"({re.escape(get_upload_folder())}[/\\])?\b[0-9a-f]{{64}}[/\\]", "", str(error))


def _checked(values: Sequence[Any]) -> None:
    """Raise the first error that `_preprocess` put among a handler's values."""
    for value in values:
        if isinstance(value, InputError):
            raise value


def for_people(
    handler: Callable[..., Any], shown: Callable[[object], str] = as_text, outputs: Any = None
) -> Callable[..., Any]:
    """Show a handler's SempaError as a message; other errors keep their traceback.

    The message replaces the answer in the first HTML of `outputs`; without outputs, it is a gr.Error.
    """

    def say(error: SempaError) -> Any:
        if outputs is None:
            raise gr.Error(shown(_without_paths(error)), print_exception=False) from error
        return _refused(_without_paths(error), outputs)

    if inspect.isgeneratorfunction(inspect.unwrap(getattr(handler, "__func__", handler))):

        def answered(*args: Any, **kwargs: Any) -> Any:
            try:
                _checked(args)
                yield from handler(*args, **kwargs)
            except SempaError as error:
                yield say(error)

    else:

        def answered(*args: Any, **kwargs: Any) -> Any:
            try:
                _checked(args)
                return handler(*args, **kwargs)
            except SempaError as error:
                return say(error)

    return on_gpu(functools.wraps(handler)(answered))


def _place(outputs: Any) -> gr.HTML:
    """Return the first HTML of some outputs, which shows messages and progress."""
    parts = outputs if isinstance(outputs, Sequence) else [outputs]
    return next(part for part in parts if isinstance(part, gr.HTML))


def _refused(message: str, outputs: Any) -> Any:
    """Return updates that replace the answer by a message and hide old charts and downloads."""
    if not isinstance(outputs, Sequence):
        return refusal(message)
    place = _place(outputs)
    return [
        refusal(message)
        if part is place
        else gr.update(visible=False)
        if isinstance(part, gr.Plot | gr.DownloadButton)
        else gr.skip()
        for part in outputs
    ]


def ask(
    on: Sequence[Any], handler: Callable[..., Any], inputs: Any, outputs: Any, after: Sequence[Any] = (), **options: Any
) -> Any:
    """Run a handler on the events `on` and after the events `after`; input errors replace the answer.

    Returns the event, to cancel or chain; it is not part of the API.
    """
    answer = for_people(handler, outputs=outputs)
    wiring = {**LANE, **PRIVATE, "show_progress_on": _place(outputs), **options}
    for event in after:
        event.then(answer, inputs, outputs, **wiring)
    return gr.on(list(on), answer, inputs, outputs, **wiring) if on else None


def examples(rows: Sequence[Any], fields: Sequence[Any], label: str = "Try") -> Any:
    """Offer example rows for some fields; return the event of choosing one."""
    return gr.Examples(list(rows), list(fields), label=label, **PRIVATE).load_input_event


def slider(low: float, high: float, value: float, label: str, *, step: float = 1, **options: Any) -> gr.Slider:
    """Return a slider; `_preprocess` checks its number field."""
    return gr.Slider(low, high, value=value, step=step, label=label, **options)


def seed_field(value: int) -> gr.Number:
    """Return a field for a seed; `_preprocess` checks its value."""
    return gr.Number(value, label="Seed", precision=0, minimum=0, maximum=MAX_SEED)


def _preprocess(part: Any, given: float | None) -> float | int | InputError | None:
    """Return the number of a slider or bounded field; if invalid, an error that states label and bounds."""
    low, high, whole = part.minimum, part.maximum, part.step % 1 == 0
    if isinstance(part, gr.Number) and low is None:
        return given if isinstance(given, int | float | None) else InputError(f"{part.label}: enter a number.")
    if not isinstance(given, int | float) or not low <= given <= high or (whole and given % 1):
        least = f"{low:,f}".rstrip("0").rstrip(".")
        number = f"{'whole ' if whole else ''}number from {least} to {high:,}"
        return InputError(f"{part.label}: choose a {number}.")
    return int(given) if whole else given


# Set on the classes: Gradio rebuilds a component for each visitor from its class and arguments.
gr.Slider.preprocess = gr.Number.preprocess = _preprocess


_GREY = """
(...shown) => [...shown.slice(0, TEXTS).map(html => /sp-card|sp-table/.test(html ?? '') && !html.includes('sp-stale')
  ? `<div class="sp-stale"><div class="sp-say" role="status">Inputs changed: run again.</div>${html}</div>` : html),
  ...Array(HIDDEN).fill({__type__: 'update', visible: false})]
"""


def grey_out(on: Sequence[Any], answers: Sequence[gr.HTML], hidden: Sequence[Any] = ()) -> None:
    """Mark answers as outdated on some events and hide their charts and downloads until the next run."""
    marked = _GREY.replace("TEXTS", str(len(answers))).replace("HIDDEN", str(len(hidden)))
    gr.on(list(on), None, [*answers], [*answers, *hidden], js=marked, **PRIVATE)


def keep_asked(page: gr.Blocks) -> None:
    """Keep early input: whatever a visitor types, selects or unfolds; call on the complete page.

    When a tab or accordion first opens, Gradio renders its parts and one frame later resets them to their initial
    values, except for parts with an explicit `visible` update.
    """
    kinds = gr.components.FormComponent | gr.Accordion
    parts = [part for part in page.blocks.values() if isinstance(part, kinds) and part.visible]
    shown = f"() => Array({len(parts)}).fill({{__type__: 'update', visible: true}})"
    page.load(None, None, parts, js=shown, **PRIVATE)


class Stops:
    """Hold a stop flag for each visitor's current generation."""

    def __init__(self) -> None:
        self._flags: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    @contextmanager
    def running(self, visitor: str | None) -> Iterator[Callable[[], bool]]:
        """Hold a visitor's flag during generation; yield a function that returns whether to stop."""
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

    def stop(self, visitor: str | None) -> None:
        """Stop a visitor's generation before its next token."""
        with self._lock:
            if flag := self._flags.get(visitor or ""):
                flag.set()


@dataclass(frozen=True)
class Context:
    """Hold what every tab needs: the adapters, the page, the adapter choice, the tabs and the links."""

    adapters: Adapters
    page: gr.Blocks
    adapter: gr.Dropdown
    tabs: gr.Tabs
    links: "Links"

    @property
    def studio(self) -> Studio:
        """Return the first adapter's studio, the page's default."""
        return self.adapters.choose()
