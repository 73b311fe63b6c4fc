"""Rank paraphrase candidates by meaning kept and new words."""

from collections.abc import Sequence
from dataclasses import dataclass

from sempa.evaluation.paraphrase import new_share, words_of


@dataclass(frozen=True)
class Candidate:
    """Hold a text, how often it was generated, its cosine to the sentence and its share of new words.

    `percentile` (0..1) is the share of random pairs with a lower cosine; None if unknown.
    """

    text: str
    times: int
    cosine: float
    percentile: float | None
    new_words: float

    @property
    def worth(self) -> float:
        """Return the harmonic mean of meaning kept and new words, 0..1; copies and unrelated texts score 0."""
        kept = self.percentile if self.percentile is not None else max(self.cosine, 0)
        return 2 * kept * self.new_words / (kept + self.new_words) if kept and self.new_words else 0.0


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
    sentence: str, texts: dict[str, int], cosines: Sequence[float], percentiles: Sequence[float | None]
) -> list[Candidate]:
    """Return folded texts as candidates, best first; ties keep their order."""
    own = words_of(sentence)
    made = [
        Candidate(text, times, cosine, percentile, new_share(own, words_of(text)))
        for (text, times), cosine, percentile in zip(texts.items(), cosines, percentiles, strict=True)
    ]
    return sorted(made, key=lambda candidate: -candidate.worth)
