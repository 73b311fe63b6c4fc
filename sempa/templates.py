"""Every string a model ever sees. Standard library only.

Source: Chen et al. 2026 (paraphrase templates P1-P5, system prompt, tidying); Jiang et al. 2023 (PromptEOL);
Zhang et al. 2024 (Pretended CoT, Knowledge).
"""

import re
from dataclasses import dataclass
from typing import Self

from sempa.errors import InputError

SLOT = "{sentence}"

EMBEDDING_TEMPLATES = {
    "prompteol": 'This sentence : "{sentence}" means in one word:"',
    "cot": 'After thinking step by step , this sentence : "{sentence}" means in one word:"',
    "knowledge": (
        "The essence of a sentence is often captured by its main subjects and actions, while descriptive terms "
        "provide additional but less central details. With this in mind , "
        'this sentence : "{sentence}" means in one word:"'
    ),
    "plain": "{sentence}",
}
"""Prompts for embeddings; `plain` is the sentence alone, for mean pooling."""

PARAPHRASE_TEMPLATES = {
    "P1": 'Keep the same meaning of this sentence: "{sentence}", while making some changes.',
    "P2": (
        'Generate a paraphrase of this sentence: "{sentence}" that preserves its meaning, while making some changes.'
    ),
    "P3": 'Keep the main meaning of this sentence: "{sentence}", and rewrite it in a different way.',
    "P4": 'Generate a paraphrase of the sentence: "{sentence}".',
    "P5": (
        'Rewrite the sentence: "{sentence}" while preserving its main meaning, '
        "but the wording may be simplified or rephrased."
    ),
}
"""Prompts for paraphrases, in training and in the app; P1 is the paper's default."""

SYSTEM_PROMPT = "You are a helpful assistant"

_PUNCTUATION = re.compile(r"(?<!\d)[.,]|[.,](?!\d)|[^\w\s.,-]|_")


@dataclass(frozen=True)
class SentenceTemplate:
    """Hold the text before and after a sentence."""

    before: str
    after: str

    @classmethod
    def embedding(cls, name_or_text: str) -> Self:
        """Look up a name of EMBEDDING_TEMPLATES, or take a text with exactly one `{sentence}`.

        Raises: InputError if it is neither.
        """
        return cls._of(name_or_text, EMBEDDING_TEMPLATES)

    @classmethod
    def paraphrase(cls, name_or_text: str) -> Self:
        """Look up a name of PARAPHRASE_TEMPLATES, or take a text with exactly one `{sentence}`.

        Raises: InputError if it is neither.
        """
        return cls._of(name_or_text, PARAPHRASE_TEMPLATES)

    @classmethod
    def _of(cls, name_or_text: str, table: dict[str, str]) -> Self:
        text = table.get(name_or_text, name_or_text)
        if text.count(SLOT) != 1:
            raise InputError(
                f"Template {name_or_text[:80]!r} is neither one of {', '.join(table)} nor a text with one {SLOT}."
            )
        return cls(*text.split(SLOT))

    def render(self, sentence: str) -> str:
        """Insert a sentence."""
        return f"{self.before}{sentence}{self.after}"


def tokenised_text(sentence: str) -> str:
    """Return the sentence as SentEval writes its sets: lower-cased, punctuation set apart by spaces.

    Hyphens stay inside their words, points and commas inside their numbers.
    """
    return " ".join(_PUNCTUATION.sub(r" \g<0> ", sentence.lower()).split())


def tidy_sentence(sentence: str) -> str:
    """Return the sentence in the paper's form: one line, a final full stop, no double quotes.

    A full stop is added unless the last character is one of `.?"'`; double quotes become single; a final question
    mark becomes a full stop.
    """
    text = " ".join(sentence.split())
    if text and text[-1] not in ".?\"'":
        text += "."
    text = text.replace('"', "'")
    return text[:-1] + "." if text.endswith("?") else text
