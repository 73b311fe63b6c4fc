"""Aligned tokens: the vocabulary items nearest to an embedding, and how many are words of the sentence.

Source: Chen et al. 2026 (aligned tokens, GAR), after Nie et al. 2025.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import snowballstemmer

from sempa.errors import InputError

TOP = 10
"""Aligned tokens per sentence."""

EXACT, STEM, OTHER = "exact", "stem", "other"

Aligned = Callable[[Sequence[str]], list[list[tuple[str, float]]]]
"""Maps N sentences to their TOP vocabulary items by unembedding score, best first."""
Split = Callable[[str], list[str]]
"""Splits a sentence into its own tokens, as text."""


@dataclass(frozen=True)
class KeyToken:
    """Hold an aligned token, its score, and whether the sentence contains the word, only its stem, or neither."""

    text: str
    score: float
    match: str


def key_tokens(sentence: str, aligned: Aligned, split: Split) -> list[KeyToken]:
    """Return a sentence's aligned tokens, best first, each matched against the sentence's words."""
    own = _words(split(sentence))
    stems = _stems(own)
    (found,) = aligned([sentence])
    return [KeyToken(text, score, _match(_word(text), own, stems)) for text, score in found]


def _match(word: str, own: set[str], stems: set[str]) -> str:
    if word in own:
        return EXACT
    return STEM if word and _stems([word]) & stems else OTHER


def aligned_ratio(sentences: Sequence[str], aligned: Aligned, split: Split) -> dict[str, Any]:
    """Return GAR (0..1): the share of N sentences' tokens that are aligned tokens of their own sentence.

    GAR = |union of (top10_i and tokens_i)| / |union of tokens_i|. `gar` compares words without leading space and case,
    because a byte-level vocabulary has several items per word; `gar_stem` compares stems.
    Raises: InputError without sentences.
    """
    if not sentences:
        raise InputError("The ratio of aligned tokens needs at least one sentence.")
    every: dict[str, set[str]] = {"gar": set(), "gar_stem": set()}
    named: dict[str, set[str]] = {"gar": set(), "gar_stem": set()}
    for start in range(0, len(sentences), CHUNK):
        chunk = sentences[start : start + CHUNK]
        for sentence, found in zip(chunk, aligned(chunk), strict=True):
            own, top = _words(split(sentence)), _words(text for text, _ in found)
            for name, mine, theirs in (("gar", own, top), ("gar_stem", _stems(own), _stems(top))):
                every[name] |= mine
                named[name] |= mine & theirs
    ratios = {name: round(len(named[name]) / max(1, len(tokens)), 4) for name, tokens in every.items()}
    return {"sentences": len(sentences), **ratios}


CHUNK = 512
"""Sentences per batch."""

_stemmer = snowballstemmer.stemmer("english")
_stemming = threading.Lock()
"""The stemmer has state: one thread at a time."""


def _word(token: str) -> str:
    """Return a token as a word; empty for part of a character, which decodes to the replacement character."""
    return "" if "\ufffd" in token else token.strip().casefold()


def _words(tokens: Iterable[str]) -> set[str]:
    return {word for token in tokens if (word := _word(token))}


def _stems(words: Iterable[str]) -> set[str]:
    with _stemming:
        return {_stemmer.stemWord(word) for word in words}
