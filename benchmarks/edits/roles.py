"""Edits of roles: the same words, another actor."""

from collections.abc import Iterator

from grammar import (
    OBJECTIVE,
    POSSESSOR,
    SUBJECTIVE,
    Change,
    agreeing,
    child,
    finite,
    is_being,
    is_plural,
    is_whole,
    listed,
    phrase,
    subject,
    words,
)
from spacy.tokens import Doc, Span, Token
from wordnet import ANIMAL, ARTIFACT, PERSON, WordNet

SYMMETRIC = listed(
    "meet marry hug kiss embrace resemble fight date wed divorce match equal face talk speak chat "
    "converse argue be have contain include involve cost weigh wear become seem"
)
"""Verbs that mean the same with their sides exchanged, or whose sides are not actors."""
DIRECTED = listed("to from for at behind after over toward towards past above below under beneath into")
"""Prepositions that mean something else with their sides exchanged."""
VERTICAL = listed("on under above below beneath behind over inside atop")


def roles(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield exchanges of a verb's actor with its object, recipient, source or agent, and of a comparison's sides."""
    for verb in doc:
        if verb.pos_ not in ("VERB", "AUX"):
            continue
        actor = _actor(verb)
        if actor is None:
            continue
        for other in [*_others(verb, wordnet), *_compared(verb), *_below(verb)]:
            if _comparable(actor, other, verb, wordnet):
                changes = _owner_changes(actor, other, verb) or exchange(actor, other, verb)
                if changes:
                    yield changes
        if (pair := _recipient_and_object(verb)) and both_beings(*pair, wordnet):
            yield from filter(None, [swapped(*pair)])
    yield from _bare(doc, wordnet)


def _bare(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield exchanges of two actors without their postmodifiers."""
    actors = [
        t
        for t in doc
        if t.pos_ == "NOUN" and t.dep_ in ("nsubj", "nsubjpass", "dobj", "pobj", "ROOT") and is_being(t, wordnet)
    ]
    for i, a in enumerate(actors):
        for b in actors[i + 1 :]:
            first, second = _base(a), _base(b)
            plain = not any(t.dep_ in ("prep", "acl", "relcl") for noun in (a, b) for t in noun.children)
            if (
                first is None
                or second is None
                or a.lemma_ == b.lemma_
                or is_plural(a) != is_plural(b)
                or a.sent != b.sent
            ):
                continue
            beside = b.head.head == a and b.head.lower_ in ("with", "of", "near", "beside", "by", "among")
            told = not _common_verb(a, b) if plain else _said_apart(a, b)
            if told and not beside and not refers(a, [first, second]):
                yield [(first.start, first.end, words(second)), (second.start, second.end, words(first))]


def _base(noun: Token) -> Span | None:
    """Return a noun with its premodifiers; None if another noun is joined to it or nested in it."""
    span = noun.doc[noun.left_edge.i : noun.i + 1]
    simple = all(t.dep_ in ("det", "amod", "compound", "nummod") or t == noun for t in span)
    counting = noun.lemma_ in ("lot", "couple", "number", "group", "bunch", "pair", "crowd", "team")
    return span if simple and not counting and is_whole(span) and not child(noun, ["conj", "cc", "appos"]) else None


def _common_verb(a: Token, b: Token) -> bool:
    """Return whether two nouns depend on one verb, whose own rule has been tried."""
    return a.head in (b.head, b.head.head) or b.head.lower_ in ("with", "of", "near", "beside", "by", "and", "next")


def _said_apart(a: Token, b: Token) -> bool:
    """Return whether the sentence says something of one noun but not of the other."""
    return a.dep_ in ("nsubj", "nsubjpass", "ROOT") and b.head.lower_ not in ("of", "as", "like")


def exchange(a: Token, b: Token, verb: Token) -> list[Change] | None:
    """Return the changes that exchange two noun phrases, with correct case and agreement."""
    first, second = _noun_phrase(a, verb), phrase(b)
    if finite(verb) is None and "PRON" in (a.pos_, b.pos_):
        return None
    if first is None or second is None or _overlap(first, second) or refers(verb, [first, second]):
        return None
    agreed: list[Change] | None = []
    if (finite(verb) is not None and is_plural(a) != is_plural(b)) or {"i", "me"} & {a.lower_, b.lower_}:
        agreed = agreeing(verb, is_plural(b), b.lower_ in ("i", "me"))
    if agreed is None:
        return None
    return [
        (first.start, first.end, cased(second, SUBJECTIVE)),
        (second.start, second.end, cased(first, OBJECTIVE)),
        *agreed,
    ]


def cased(span: Span, cases: dict[str, str]) -> str:
    """Return a span's words in another place; a pronoun alone takes the form that `cases` gives."""
    if len(span) == 1 and span[0].lower_ in cases:
        return "I" if cases[span[0].lower_] == "i" else cases[span[0].lower_]
    return words(span)


def _actor(verb: Token) -> Token | None:
    """Return a verb's subject, or the noun that a participle modifies."""
    own = subject(verb)
    if own is not None:
        return None if own.tag_ in ("WP", "WDT", "EX", "DT") or own.lower_ in ("it", "this", "that") else own
    head = verb.head
    near = verb.dep_ == "acl" and verb.tag_ == "VBG" and head.i < verb.i and not child(verb, ["aux", "mark"])
    return head if near and all(not t.is_punct for t in verb.doc[head.i : verb.i]) else None


def _noun_phrase(head: Token, verb: Token) -> Span | None:
    """Return the noun phrase of a head, up to a verb that depends on it."""
    if verb.head != head:
        return phrase(head)
    return verb.doc[head.left_edge.i : min(verb.left_edge.i, verb.i)]


def _others(verb: Token, wordnet: WordNet) -> Iterator[Token]:
    """Yield the heads of a verb's arguments other than its subject."""
    for token in verb.children:
        if token.i < verb.i or verb.lemma_ == "be":
            continue
        if token.dep_ in ("dobj", "dative") and token.pos_ != "ADP":
            yield token
            of = child(token, ["prep"], ["of"])
            if of and token.lemma_ in (
                "picture",
                "photo",
                "photograph",
                "video",
                "care",
                "hold",
                "advantage",
                "portrait",
            ):
                yield from (t for t in of.children if t.dep_ == "pobj")
        elif token.dep_ == "agent" or (token.dep_ in ("prep", "dative") and token.lower_ in DIRECTED):
            yield from (t for t in token.children if t.dep_ == "pobj")


def _compared(verb: Token) -> Iterator[Token]:
    """Yield what a comparative adjective after "be" compares with."""
    adjective = child(verb, ["acomp"])
    if (
        verb.lemma_ == "be"
        and adjective is not None
        and (adjective.tag_ == "JJR" or child(adjective, ["advmod"], ["more", "less"]))
    ):
        than = child(adjective, ["prep"], ["than"])
        yield from (t for t in than.children if t.dep_ == "pobj" and t.pos_ in ("NOUN", "PROPN")) if than else ()


def _below(verb: Token) -> Iterator[Token]:
    """Yield the noun that something is on, under or behind."""
    if verb.lemma_ == "be":
        for token in verb.children:
            if token.dep_ == "prep" and token.lower_ in VERTICAL:
                yield from (
                    t for t in token.children if t.dep_ == "pobj" and t.lemma_ not in ("phone", "computer", "laptop")
                )


def _comparable(actor: Token, other: Token, verb: Token, wordnet: WordNet) -> bool:
    if actor.lemma_.lower() == other.lemma_.lower() and not (_distinct(actor) and _distinct(other)):
        return False
    if verb.lemma_ == "be":
        place = other.head.lower_ in VERTICAL
        kinds = {wordnet.file(t.lemma_.lower()) for t in (actor, other)}
        return (
            (kinds <= {PERSON, ANIMAL} or kinds == {ARTIFACT})
            if place
            else actor.pos_ != "PRON" or other.pos_ == "PRON"
        )
    if verb.lemma_ in SYMMETRIC:
        return False
    things = actor.pos_ == other.pos_ == "NOUN" and {wordnet.file(t.lemma_) for t in (actor, other)} == {ARTIFACT}
    return both_beings(actor, other, wordnet) or (
        things
        and other.dep_ == "dobj"
        and subject(verb) is not None
        and finite(verb) is not None
        and verb.lemma_ not in ("make", "take", "do")
    )


def _distinct(head: Token) -> bool:
    return any(t.dep_ in ("amod", "prep", "compound", "poss", "acl") for t in head.children)


def both_beings(a: Token, b: Token, wordnet: WordNet) -> bool:
    """Return whether two nouns can both act."""
    return is_being(a, wordnet) and is_being(b, wordnet)


def refers(verb: Token, spans: list[Span]) -> bool:
    """Return whether a pronoun of the sentence may refer to a moved span."""
    inside = {t.i for span in spans if len(span) == 1 for t in span}
    pronouns = {"he", "she", "they", "his", "her", "their", "its", "him", "them", "himself", "herself", "themselves"}
    return any(t.lower_ in pronouns and t.i not in inside for t in verb.sent)


def _owner_changes(actor: Token, other: Token, verb: Token) -> list[Change] | None:
    """Turn "A man holds his daughter" into "A man's daughter holds him"."""
    owner = child(other, ["poss"])
    first, second = _noun_phrase(actor, verb), phrase(other)
    if owner is None or first is None or second is None or owner.lower_ not in POSSESSOR or owner.i != second.start:
        return None
    if any(t.i != owner.i for t in verb.sent if t.tag_ in ("PRP", "PRP$") and t.i != actor.i) or len(second) < 2:
        return None
    possessor = "her" if owner.lower_ == "her" else POSSESSOR[owner.lower_]
    if actor.pos_ == "PRON":
        if OBJECTIVE.get(actor.lower_, actor.lower_) != possessor:
            return None
        subject_text = second.text
    elif (
        first[-1] == actor and owner.lower_ in ("his", "her", "their") and (owner.lower_ == "their") == is_plural(actor)
    ):
        ending = "'" if is_plural(actor) and actor.lower_.endswith("s") else "'s"
        subject_text = f"{words(first)}{ending} {second[1:].text}"
    else:
        return None
    agreed = agreeing(verb, is_plural(other)) if is_plural(other) != is_plural(actor) or actor.lower_ == "i" else []
    return (
        None
        if agreed is None
        else [(first.start, first.end, subject_text), (second.start, second.end, possessor), *agreed]
    )


def _recipient_and_object(verb: Token) -> tuple[Token, Token] | None:
    """Return the two actors of "introduce a boy to a girl"."""
    thing = child(verb, ["dobj"])
    to = child(verb, ["prep", "dative"], ["to", "from", "for"])
    other = child(to, ["pobj"]) if to else None
    return (thing, other) if thing is not None and other is not None and other.lemma_ != thing.lemma_ else None


def swapped(a: Token, b: Token) -> list[Change] | None:
    """Return the changes that exchange two objects' phrases."""
    first, second = phrase(a), phrase(b)
    if first is None or second is None or _overlap(first, second) or first.text.lower() == second.text.lower():
        return None
    if any(t.tag_ in ("PRP", "PRP$") for span in (first, second) for t in span):
        return None
    return [(first.start, first.end, words(second)), (second.start, second.end, words(first))]


def _overlap(a: Span, b: Span) -> bool:
    return a.start < b.end and b.start < a.end
