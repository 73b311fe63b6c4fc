"""Growing texts as growing cards, and long work with its progress."""

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import TypeVar

from sempa.models.generate import Texts
from sempa.ui.present import say, text_cards

REDRAW_SECONDS = 0.1

_Done = TypeVar("_Done")


def shown(texts: Iterator[Texts], adapter: str) -> Iterator[str]:
    """Yield what has been written as cards, ten times a second at most, and the whole at the end."""
    last: Texts = {}
    drawn = 0.0
    for last in texts:
        if time.monotonic() - drawn >= REDRAW_SECONDS:
            drawn = time.monotonic()
            yield text_cards(last, adapter, done=False)
    yield text_cards(last, adapter, done=True) if last else say("Stopped before the first word.")


class Once:
    """Write a worked example for the first visitor and show the same answer to those after."""

    def __init__(self, write: Callable[[], Iterator[str]]) -> None:
        self._write = write
        self._answer: str | None = None

    def stream(self) -> Iterator[str]:
        """Yield the example as it grows, or whole if it has been written before."""
        if self._answer is not None:
            yield self._answer
            return
        last = ""
        for last in self._write():
            yield last
        self._answer = last


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
