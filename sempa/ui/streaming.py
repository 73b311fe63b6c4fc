"""Growing texts as growing cards."""

import time
from collections.abc import Callable, Iterator

from sempa.ui.present import say, text_cards
from sempa.writing import Texts

REDRAW_SECONDS = 0.1


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
