"""Aligned tokens: the vocabulary items nearest to an embedding, and how many are words of the sentence.

Source: Chen et al. 2026 (aligned tokens, GAR), after Nie et al. 2025.
"""

import re
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
    """Hold an aligned token as a word, its score, and whether the sentence has the word, only its stem, or neither."""

    text: str
    score: float
    match: str


def key_tokens(sentence: str, aligned: Aligned, split: Split) -> list[KeyToken]:
    """Return a sentence's aligned tokens as words, best first, each matched against the sentence's words.

    Spellings of a word that differ only in case or space count once; the first token of one of the sentence's words
    stands for the whole word.
    """
    own = _words(split(sentence))
    stems = _stems(own)
    (found,) = aligned([sentence])
    words: dict[str, KeyToken] = {}
    for text, score in found:
        match = _match(_word(text), own, stems)
        word = _whole(text.strip(), sentence) if match == EXACT else text.strip() or text
        words.setdefault(word.casefold(), KeyToken(word, score, match))
    return list(words.values())


def _whole(start: str, sentence: str) -> str:
    """Return the only word of a sentence that starts with a text; the text itself if there are none or several.

    Only in scripts with upper and lower case, which separate words by spaces.
    """
    words = {word.casefold(): word for word in re.findall(r"\w+", sentence)}
    found = [shown for word, shown in words.items() if word.startswith(start.casefold())]
    return found[0] if start.casefold().islower() and len(found) == 1 else start


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
