"""Edits of order: the same words, attached to other words."""

from collections.abc import Iterator

from grammar import (
    Change,
    agreeing,
    child,
    is_plural,
    phrase,
    subject,
    words,
)
from roles import both_beings, refers, swapped
from spacy.tokens import Doc, Token
from wordnet import ANIMAL, ARTIFACT, PERSON, WordNet


def order(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield exchanges of two nouns' modifiers, attributes, numbers or places on a path, and of two clauses' actors."""
    yield from _modifiers(doc, wordnet)
    yield from _attributes(doc, wordnet)
    yield from _clauses(doc, wordnet)
    for token in doc:
        if (start := child(token, ["prep"], ["from"])) and (end := child(token, ["prep"], ["to", "into"])):
            a, b = child(start, ["pobj"]), child(end, ["pobj"])
            if (
                a
                and b
                and a.lemma_ != b.lemma_
                and not (a.pos_ == "NUM" or {a.lemma_, b.lemma_} & {"time", "day", "side", "another", "other", "one"})
            ):
                yield from filter(None, [swapped(a, b)])


def _modifiers(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield exchanges of two nouns' adjectives or numbers."""
    found: list[tuple[Token, Token]] = []
    for noun in doc:
        before = [t for t in noun.children if t.dep_ in ("amod", "nummod") and t.i < noun.i]
        free = (
            len(before) == 1
            and before[0].i == noun.i - 1
            and before[0].tag_ in ("JJ", "CD")
            and not list(before[0].children)
        )
        if (
            noun.pos_ == "NOUN"
            and free
            and not (noun.i >= 2 and doc[noun.i - 2].pos_ in ("NOUN", "ADJ", "PUNCT", "ADV"))
        ):
            found.append((before[0], noun))
    for i, (one, noun) in enumerate(found):
        for two, other in found[i + 1 :]:
            alike = one.tag_ == two.tag_ and one.lower_ != two.lower_ and noun.lemma_ != other.lemma_
            if alike and not _joined(noun, other) and _fits(one, two, noun, other, wordnet):
                yield [
                    (one.i, one.i + 1, words(doc[two.i : two.i + 1])),
                    (two.i, two.i + 1, words(doc[one.i : one.i + 1])),
                ]


def _joined(noun: Token, other: Token) -> bool:
    """Return whether both are in one "of" phrase, where an exchange changes little."""
    return other.head.lower_ == "of" and other.head.head == noun


def _fits(one: Token, two: Token, noun: Token, other: Token, wordnet: WordNet) -> bool:
    if one.tag_ == "CD":
        return (
            "one" not in (one.lower_, two.lower_)
            and "1" not in (one.text, two.text)
            and noun.tag_ == other.tag_ == "NNS"
        )
    kinds = {wordnet.file(noun.lemma_), wordnet.file(other.lemma_)}
    classes = [wordnet.adjective_class(t.lemma_.lower()) for t in (one, two)]
    opposite = any(word == two.lemma_.lower() for word, _ in wordnet.antonyms(one.lemma_.lower(), "a"))
    alike = any(kinds <= set(group) for group in ((PERSON, ANIMAL), (ARTIFACT,)))
    return (classes == ["color", "color"] or opposite) and alike


def _attributes(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield exchanges of the nouns after "in" or "with" of two nouns of one kind."""
    found = []
    for noun in doc:
        for prep in noun.children:
            inner = (
                child(prep, ["pobj"])
                if prep.dep_ == "prep" and prep.lower_ in ("in", "with") and noun.pos_ == "NOUN"
                else None
            )
            if inner is not None and wordnet.file(noun.lemma_) in (PERSON, ANIMAL, ARTIFACT):
                found.append((noun, prep, inner))
    for i, (noun, prep, inner) in enumerate(found):
        for other, prep2, inner2 in found[i + 1 :]:
            alike = wordnet.file(noun.lemma_) == wordnet.file(other.lemma_) and prep.lower_ == prep2.lower_
            separate = not inner.is_ancestor(other) and noun.lemma_ != other.lemma_
            same = wordnet.file(inner.lemma_) == wordnet.file(inner2.lemma_)
            if alike and separate and same:
                yield from filter(None, [swapped(inner, inner2)])


def _clauses(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield exchanges of the actors of two clauses."""
    for verb in doc:
        head = verb.head
        if (
            verb.dep_ not in ("conj", "advcl", "ccomp")
            or not {verb.pos_, head.pos_} <= {"VERB", "AUX"}
            or verb.i < head.i
            or verb.lemma_ == head.lemma_
        ):
            continue
        a, b = subject(head), subject(verb)
        if (
            a is None
            or b is None
            or not both_beings(a, b, wordnet)
            or "PRON" in (a.pos_, b.pos_)
            or a.lemma_ == b.lemma_
        ):
            continue
        first, second = phrase(a), phrase(b)
        if first is None or second is None or refers(verb, [first, second]):
            continue
        plural, other = is_plural(a), is_plural(b)
        if verb.dep_ == "ccomp" and plural != other and not child(verb, ["mark", "advmod", "aux"]):
            continue  # parsers often take "play" in "watches a man play" as finite
        here = [] if plural == other else _agreeing_alone(head, other)
        there = [] if plural == other else _agreeing_alone(verb, plural)
        if here is not None and there is not None:
            moved = [(first.start, first.end, words(second)), (second.start, second.end, words(first))]
            yield [*moved, *here, *there]


def _agreeing_alone(verb: Token, plural: bool) -> list[Change] | None:
    """Return the agreement changes of a verb that shares its subject with no other; None if unsafe."""
    sharing = [t for t in verb.conjuncts if not any(c.dep_.startswith("nsubj") for c in t.children)]
    changes = None if sharing else agreeing(verb, plural)
    own = {verb.i, *(t.i for t in verb.children)}
    return None if changes is None else [change for change in changes if change[0] in own]
