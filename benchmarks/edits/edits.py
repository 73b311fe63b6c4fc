"""Rule-based minimal edits: sentences that share nearly all words with a given one but mean something else.

Tags and dependencies from a parser, and WordNet, decide which rules apply. Edits serve as hard negatives in training.
English only.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from grammar import (
    Change,
    rewrite,
)
from links import cause, modality, time
from negation import negation
from order import order
from roles import roles
from spacy.tokens import Doc
from wording import antonym, number
from wordnet import WordNet, default_wordnet

Parse = Callable[[Sequence[str]], Iterable[Doc]]
"""Maps sentences to their parses in order, like `nlp.pipe` of a spaCy pipeline with a parser."""
Scorer = Callable[[Sequence[str]], Sequence[float]]
"""Maps sentences to their mean log-probability per token, in nats."""
Rule = Callable[[Doc, WordNet], Iterator[list[Change]]]

LONGEST = 40
"""Sentence length in tokens from which parses are considered unreliable."""
KINDS: dict[str, Rule] = {
    "roles": roles,
    "negation": negation,
    "antonym": antonym,
    "number": number,
    "time": time,
    "modality": modality,
    "order": order,
    "cause": cause,
}
"""The rule of each kind of edit."""


@dataclass(frozen=True)
class Edit:
    """Hold an edited sentence and the kind of rule that made it."""

    text: str
    kind: str


def edits(sentences: Sequence[str], parse: Parse, wordnet: WordNet | None = None) -> list[list[Edit]]:
    """Return each sentence's minimal edits, in the order of KINDS; empty if no rule applies.

    `wordnet` defaults to the folder in $WORDNET or the files of Debian's `wordnet-base`.
    Raises: FileNotFoundError if WordNet is missing.
    """
    known = wordnet or default_wordnet()
    return [made(doc, KINDS, known) for doc in parse(sentences)]


def well_formed(
    sentences: Sequence[str], found: Sequence[Sequence[Edit]], scorer: Scorer, margin: float
) -> list[list[Edit]]:
    """Return the edits that a language model finds at most `margin` nats per token less likely than the original."""
    own = scorer(sentences)
    theirs = iter(scorer([edit.text for group in found for edit in group]))
    return [[edit for edit in group if next(theirs) >= score - margin] for score, group in zip(own, found, strict=True)]


def made(doc: Doc, rules: dict[str, Rule], wordnet: WordNet) -> list[Edit]:
    """Apply rules to a parsed sentence and return distinct edits; none if it is too long or unclean to parse well."""
    found: dict[str, Edit] = {}
    for kind, rule in rules.items() if is_usable(doc) else ():
        for changes in rule(doc, wordnet):
            text = rewrite(doc, changes)
            if text.lower() != doc.text.lower():
                found.setdefault(text, Edit(text, kind))
    return list(found.values())


def is_usable(doc: Doc) -> bool:
    """Return whether a sentence is short and clean enough for a reliable parse."""
    spoken = any(token.lower_ in ("uh", "um", "huh", "yeah", "er") for token in doc)
    return (
        2 < len(doc) <= LONGEST and not spoken and not any(mark in doc.text for mark in ("??", "\u00ad", "\n", "http"))
    )
