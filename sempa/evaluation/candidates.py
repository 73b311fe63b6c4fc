"""Rank paraphrase candidates: what keeps the meaning and ends comes first, with reasons for what does not."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sempa.evaluation.facts import facts_kept
from sempa.evaluation.paraphrase import new_share, words_of

UNLIKE = 0.997
"""Percentile among random pairs below which a candidate is another statement.

Of the contrast set's paraphrases in other words (dev half, both shipped adapters that learn cosines), 98% exceed it.
"""
CUT, RUNS_ON, COPY, FACTS, MEANING = (
    "cut off at the token limit",
    "runs on",
    "has no new words",
    "changes a number, a name or a negation",
    "loses the meaning",
)
"""What can be wrong with a candidate, in words."""


@dataclass(frozen=True)
class Candidate:
    """Hold a text, how often it was generated, its scores, and what is wrong with it.

    `cosine` and `preference` (nats per token; None without an adapter) are those to the sentence; `percentile` (0..1)
    is the share of random pairs with a lower cosine, None if unknown; `new_words` is the share of words that the
    sentence does not have, `lost` are the sentence's words that the text does not have, in order.
    """

    text: str
    times: int
    cosine: float
    percentile: float | None
    new_words: float
    lost: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    preference: float | None = None

    @property
    def worth(self) -> float:
        """Return the harmonic mean of meaning kept and new words, 0..1; copies and unrelated texts score 0."""
        kept = self.percentile if self.percentile is not None else max(self.cosine, 0)
        return 2 * kept * self.new_words / (kept + self.new_words) if kept and self.new_words else 0.0

    @property
    def place(self) -> tuple[int, float]:
        """Return the key of the order: without faults first, then by preference, or by worth where there is none."""
        return len(self.faults), -(self.worth if self.preference is None else self.preference)


def folded(texts: Sequence[str]) -> dict[str, int]:
    """Return distinct non-empty texts with their counts, ignoring case and punctuation."""
    first: dict[tuple[str, ...], str] = {}
    times: dict[str, int] = {}
    for text in texts:
        if words := tuple(words_of(text)):
            kept = first.setdefault(words, text)
            times[kept] = times.get(kept, 0) + 1
    return times


def judged(
    sentence: str,
    texts: dict[str, int],
    cosines: Sequence[float],
    percentiles: Sequence[float | None],
    preferences: Sequence[float] | None = None,
    cut: Collection[str] = (),
) -> list[Candidate]:
    """Return folded texts as candidates, best first; ties keep their order. Texts in `cut` have no end."""
    own = words_of(sentence)
    made = []
    for number, (text, times) in enumerate(texts.items()):
        words, percentile = words_of(text), percentiles[number]
        new = new_share(own, words)
        wrong = {
            CUT: text in cut,
            RUNS_ON: len(words) > 2 * len(own),
            COPY: not new,
            FACTS: not facts_kept(sentence, text),
            MEANING: percentile is not None and percentile < UNLIKE,
        }
        lost = tuple(dict.fromkeys(word for word in own if word not in words))
        faults = tuple(fault for fault, found in wrong.items() if found)
        liked = None if preferences is None else float(preferences[number])
        made.append(Candidate(text, times, cosines[number], percentile, new, lost, faults, liked))
    return sorted(made, key=lambda candidate: candidate.place)
