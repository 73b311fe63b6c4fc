"""Minimal edits: sentences that share nearly all words with a given one and mean something else, made by rule.

A parser's tags and dependencies and WordNet decide where a rule fits; where none does, nothing is made. Edits are hard
negatives for training. English only.
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
"""Receives sentences and gives their parses in order, as `nlp.pipe` of a spaCy pipeline with a parser does."""
Scorer = Callable[[Sequence[str]], Sequence[float]]
"""Receives sentences and gives each one's mean log-probability a token, in nats."""
Rule = Callable[[Doc, WordNet], Iterator[list[Change]]]

LONGEST = 40
"""Tokens of a sentence from which its parse is not relied on."""
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
    """Hold a sentence made from another, and the kind of rule that made it."""

    text: str
    kind: str


def edits(sentences: Sequence[str], parse: Parse, wordnet: WordNet | None = None) -> list[list[Edit]]:
    """Return each sentence's minimal edits, in the order of KINDS; none where no rule fits.

    `wordnet` is by default the one that Debian's `wordnet-base` installs, or the folder that $WORDNET names.
    Raises: FileNotFoundError if WordNet is not there.
    """
    known = wordnet or default_wordnet()
    return [made(doc, KINDS, known) for doc in parse(sentences)]


def well_formed(
    sentences: Sequence[str], found: Sequence[Sequence[Edit]], scorer: Scorer, margin: float
) -> list[list[Edit]]:
    """Return the edits that a language model finds at most `margin` nats a token less likely than their sentence."""
    own = scorer(sentences)
    theirs = iter(scorer([edit.text for group in found for edit in group]))
    return [[edit for edit in group if next(theirs) >= score - margin] for score, group in zip(own, found, strict=True)]


def made(doc: Doc, rules: dict[str, Rule], wordnet: WordNet) -> list[Edit]:
    """Return what rules make of a parsed sentence, each text once; nothing of one too long or unclean to parse well."""
    found: dict[str, Edit] = {}
    for kind, rule in rules.items() if is_usable(doc) else ():
        for changes in rule(doc, wordnet):
            text = rewrite(doc, changes)
            if text.lower() != doc.text.lower():
                found.setdefault(text, Edit(text, kind))
    return list(found.values())


def is_usable(doc: Doc) -> bool:
    """Say whether a sentence is short and clean enough for its parse to be relied on."""
    spoken = any(token.lower_ in ("uh", "um", "huh", "yeah", "er") for token in doc)
    return (
        2 < len(doc) <= LONGEST and not spoken and not any(mark in doc.text for mark in ("??", "\u00ad", "\n", "http"))
    )
