"""Limits on visitors' requests, and errors that name them."""

from collections.abc import Sequence

from sempa.errors import InputError

MAX_CHARACTERS = 5_000
"""Maximum characters per text; the model reads only its first few hundred words."""
MAX_SENTENCES = 256
"""Maximum sentences per request."""
MAX_CONVERSATION = 10_000
"""Maximum characters of all messages of a conversation."""
MAX_MATRIX = 200
"""Maximum sentences in a matrix: 19,900 pairs."""
MAX_HITS = 100
MAX_PAIRS = 1_000
"""Maximum scored pairs per measurement: a minute on two cores."""
MAX_TEXTS = 5_000
"""Maximum texts embedded while a visitor waits: a few minutes on two cores, with progress."""


def require_sentences(sentences: object) -> None:
    """Raise InputError, naming the sentence, unless these are at most MAX_SENTENCES valid texts."""
    if isinstance(sentences, str) or not isinstance(sentences, Sequence):
        raise InputError("Sentences must be a list of texts: put a single sentence in brackets.")
    if len(sentences) > MAX_SENTENCES:
        raise InputError(f"There are {len(sentences)} sentences, but the limit per request is {MAX_SENTENCES}.")
    for number, sentence in enumerate(sentences, start=1):
        require_text(sentence, f"Sentence {number}")


def require_k(k: object) -> None:
    """Raise InputError unless this is a number of hits from 1 to MAX_HITS."""
    if not isinstance(k, int) or not 1 <= k <= MAX_HITS:
        raise InputError(f"k is {k!r}: choose a whole number from 1 to {MAX_HITS}.")


def require_text(text: object, what: str) -> None:
    """Raise InputError, naming `what`, unless this is a text of 1 to MAX_CHARACTERS characters."""
    if not isinstance(text, str | None):
        raise InputError(f"{what} is {type(text).__name__}, not text.")
    if not text or not text.strip():
        raise InputError(f"{what} is empty: enter some text.")
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{what} has {len(text):,} characters, but the limit is {MAX_CHARACTERS:,}: shorten it.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{what} contains half a character (a lone surrogate): remove it.")


def lines_of(text: str | None) -> list[str]:
    """Return the texts of a field that takes one per line, without blank lines and outer spaces."""
    return [line for each in (text or "").splitlines() if (line := each.strip())]
