"""Rule-made paraphrases: other words or another order, the same meaning.

A paraphrase of an anchor is a positive that shares fewer words with it, or fewer in their places, than a minimal edit.
A rule of order (passive, active, clauses exchanged, "there is") is applied first, then rules of words. English only.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edits import Parse, is_usable
from grammar import (
    OBJECTIVE,
    POS,
    SUBJECTIVE,
    Change,
    base_form,
    child,
    inflect,
    is_plural,
    listed,
    one,
    phrase,
    rewrite,
    subject,
    words,
)
from links import clauses
from roles import cased, refers
from spacy.tokens import Doc, Token
from wording import NUMBERS, is_free, opposite
from wordnet import WordNet, default_wordnet

STATES = listed("be have contain weigh cost resemble lack mean become seem fit let get want")
"""Verbs without a natural passive."""
INDEFINITE = listed("a an two three four five several some many")
BEING = {"VBZ": ("is", "are"), "VBP": ("is", "are"), "VBD": ("was", "were")}
NECESSITY = {
    "must": ("has to", "have to"),
    "can": ("is able to", "are able to"),
    "will": ("is going to", "are going to"),
}
Rule = Callable[[Doc, WordNet], Iterator[list[Change]]]


@dataclass(frozen=True)
class Paraphrase:
    """Hold a paraphrase and the rules that made it, such as "passive+words"."""

    text: str
    rules: str


def paraphrases(
    sentences: Sequence[str], parse: Parse, seed: int = 0, wordnet: WordNet | None = None
) -> list[Paraphrase | None]:
    """Return a paraphrase of each sentence; None where no rule of order and fewer than two of words apply.

    Raises: FileNotFoundError if WordNet is missing.
    """
    known, generator = wordnet or default_wordnet(), random.Random(seed)
    ordered = [_reordered(doc, known, generator) for doc in parse(sentences)]
    reworded = parse([text for text, _ in ordered])
    return [_reworded(doc, rule, known, generator) for doc, (_, rule) in zip(reworded, ordered, strict=True)]


def _reordered(doc: Doc, wordnet: WordNet, generator: random.Random) -> tuple[str, str]:
    found = [
        (rewrite(doc, changes), name)
        for name, rule in ORDERS.items()
        if is_usable(doc)
        for changes in rule(doc, wordnet)
    ]
    told = [item for item in found if item[1] != "there"] or found
    return generator.choice(told) if told else (doc.text, "")


def _reworded(doc: Doc, rule: str, wordnet: WordNet, generator: random.Random) -> Paraphrase | None:
    changes: list[Change] = []
    for found in _words(doc, wordnet, generator) if is_usable(doc) else ():
        if not any(change[0] < other[1] and other[0] < change[1] for change in found for other in changes):
            changes += found
    if not rule and len(changes) < 2:
        return None
    return Paraphrase(rewrite(doc, changes), "+".join(filter(None, [rule, "words" if changes else ""])))


def passive(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Turn "A cook stirs the soup" into "The soup is stirred by a cook"."""
    for verb in doc:
        actor, thing = subject(verb), child(verb, ["dobj"])
        if (
            verb.pos_ != "VERB"
            or actor is None
            or thing is None
            or base_form(verb) in STATES
            or not _movable(verb, actor, thing)
        ):
            continue
        first, second, participle = phrase(actor), phrase(thing), inflect(base_form(verb), "VBN")
        chain = _chain(verb, is_plural(thing))
        if first is None or second is None or participle is None or chain is None or refers(verb, [first, second]):
            continue
        yield [
            (first.start, first.end, cased(second, SUBJECTIVE)),
            *chain,
            one(verb, participle),
            (second.start, second.end, f"by {cased(first, OBJECTIVE)}"),
        ]


def _chain(verb: Token, plural: bool) -> list[Change] | None:
    """Return the changes of auxiliaries before a participle; None for chains without a rule."""
    helpers = [t for t in verb.children if t.dep_ == "aux" and t.i < verb.i]
    if child(verb, ["neg", "prt", "xcomp", "ccomp", "conj", "dative", "auxpass"]) or any(
        t.text[0] in "'’" for t in helpers
    ):
        return None
    if not helpers:
        return [(verb.i, verb.i, BEING[verb.tag_][plural])] if verb.tag_ in BEING else None
    last = helpers[-1]
    if len(helpers) == 1 and last.lemma_ == "be" and verb.tag_ == "VBG" and last.tag_ in BEING:
        return [one(last, f"{BEING[last.tag_][plural]} being")]
    if len(helpers) == 1 and last.lemma_ == "have" and verb.tag_ == "VBN" and last.tag_ in BEING:
        return [one(last, "had been" if last.tag_ == "VBD" else "have been" if plural else "has been")]
    return [one(last, f"{last.text} be")] if len(helpers) == 1 and last.tag_ == "MD" else None


def _movable(verb: Token, actor: Token, thing: Token) -> bool:
    """Return whether actor and thing are plain phrases on both sides of a verb."""
    plain = all(
        t.tag_ not in ("WP", "WDT", "EX", "DT") and t.lower_ not in ("it", "this", "that", "what")
        for t in (actor, thing)
    )
    reflexive = thing.lower_.endswith(("self", "selves")) or child(thing, ["poss"]) is not None
    joined = child(actor, ["relcl", "acl"]) or child(thing, ["relcl", "acl", "prep"]) or child(verb, ["conj"])
    return (
        plain
        and not reflexive
        and joined is None
        and actor.i < verb.i < thing.i
        and verb.dep_ in ("ROOT", "advcl", "conj", "ccomp")
    )


def active(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Turn "The soup was stirred by a cook" into "A cook stirred the soup"."""
    for verb in doc:
        thing, by, be = subject(verb), child(verb, ["agent"]), child(verb, ["auxpass"])
        actor = child(by, ["pobj"]) if by is not None else None
        helpers = [t for t in verb.children if t.dep_ == "aux"]
        if actor is None or thing is None or be is None or child(verb, ["neg", "prt", "conj"]) or actor.i < verb.i:
            continue
        first, second = phrase(thing), phrase(actor)
        form = _active_form(verb, be, helpers, is_plural(actor))
        if first is None or second is None or form is None or by.i != second.start - 1 or refers(verb, [first, second]):
            continue
        start = helpers[0].i if helpers else be.i
        if any(doc[i].dep_ not in ("aux", "auxpass") for i in range(start, verb.i)):
            continue
        yield [
            (first.start, first.end, cased(second, SUBJECTIVE)),
            (start, verb.i + 1, form),
            (by.i, second.end, cased(first, OBJECTIVE)),
        ]


def _active_form(verb: Token, be: Token, helpers: Sequence[Token], plural: bool) -> str | None:
    lemma = base_form(verb)
    if not helpers and be.tag_ in BEING:
        return inflect(lemma, "VBD" if be.tag_ == "VBD" else "VBP" if plural else "VBZ")
    if len(helpers) == 1 and be.lower_ == "being" and helpers[0].tag_ in BEING:
        form = inflect(lemma, "VBG")
        return f"{BEING[helpers[0].tag_][plural]} {form}" if form else None
    return f"{helpers[0].text} {lemma}" if len(helpers) == 1 and helpers[0].tag_ == "MD" and be.lower_ == "be" else None


def exchanged(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Turn "A before B" into "B after A", "A because B" into "B, so A", and put other clauses first."""
    for clause, mark in ((t.head, t) for t in doc if t.dep_ in ("mark", "advmod") and t.head.dep_ == "advcl"):
        found = clauses(clause, mark)
        if found is None:
            continue
        start, end, main, second = found
        converse = {
            "before": f"{words(second)} after {words(main)}",
            "after": f"{words(second)} before {words(main)}",
            "because": f"{words(second)}, so {words(main)}",
        }
        if mark.lower_ in converse:
            yield [(start, end, converse[mark.lower_])]
        if mark.lower_ in (
            "because",
            "before",
            "after",
            "when",
            "while",
            "if",
            "unless",
            "although",
            "though",
            "until",
        ):
            yield [(start, end, f"{mark.lower_} {words(second)}, {words(main)}")]


def there(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Turn "A cook is stirring soup" into "There is a cook stirring soup"."""
    verb = next(doc.sents).root
    actor, be = subject(verb), child(verb, ["aux"], ["is", "are"])
    span = phrase(actor) if actor is not None else None
    if verb.tag_ != "VBG" or be is None or span is None or span.start != 0 or be.i != span.end:
        return
    if actor.pos_ == "NOUN" and span[0].lower_ in INDEFINITE and not child(verb, ["neg", "conj"]):
        yield [(0, be.i + 1, f"there {be.lower_} {words(span)}")]


def _words(doc: Doc, wordnet: WordNet, generator: random.Random) -> Iterator[list[Change]]:
    """Yield changes of words that keep the meaning, each applicable beside the others."""
    opposed = [changes for token in doc for changes in _denied_opposite(token, wordnet)]
    if opposed and generator.random() < 0.5:
        yield generator.choice(opposed)
    for token in doc:
        if token.lower_ in NUMBERS and token.dep_ == "nummod":
            yield [one(token, str(NUMBERS.index(token.lower_) + 2))]
        elif (
            token.tag_ == "MD"
            and token.lower_ in NECESSITY
            and (actor := subject(token.head)) is not None
            and actor.i < token.i
        ):
            if (
                not child(token.head, ["neg"])
                and token.i + 1 < len(doc)
                and doc[token.i + 1].tag_ == "VB"
                and actor.lower_ not in ("i", "you")
            ):
                yield [one(token, NECESSITY[token.lower_][is_plural(actor)])]
        elif token.pos_ in POS and is_free(token) and token.ent_type_ == "":
            yield from _synonym(token, wordnet, generator)


def _synonym(token: Token, wordnet: WordNet, generator: random.Random) -> Iterator[list[Change]]:
    lemma = base_form(token) if token.pos_ == "VERB" else token.lemma_.lower()
    found = wordnet.synonyms(lemma, POS[token.pos_])
    if found:
        word = generator.choice(found)
        form = word if token.tag_ in ("JJ", "RB", "NN") else inflect(word, token.tag_)
        if form is not None and word not in {t.lemma_ for t in token.sent}:
            yield [one(token, form)]


def _denied_opposite(token: Token, wordnet: WordNet) -> Iterator[list[Change]]:
    """Turn "is open" into "is not closed"."""
    be = token.head
    if (
        token.dep_ == "acomp"
        and token.tag_ == "JJ"
        and be.lemma_ == "be"
        and be.tag_ in BEING
        and be.text[0] not in "'’"
    ):
        word = opposite(token, "a", wordnet)
        if (
            word is not None
            and not child(token, ["advmod", "prep", "conj"])
            and not child(be, ["neg"])
            and be.i + 1 == token.i
        ):
            yield [(be.i, token.i + 1, f"{be.text} not {word}")]


ORDERS: dict[str, Rule] = {"passive": passive, "active": active, "exchanged": exchanged, "there": there}
"""Rules that change the order of words; "there" only where no other applies."""
