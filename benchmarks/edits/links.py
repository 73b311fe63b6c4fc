"""Edits of time, modality, cause and condition."""

from collections.abc import Iterator
from zlib import crc32

from grammar import (
    Change,
    base_form,
    both_ways,
    child,
    finite,
    inflect,
    is_being,
    listed,
    neighbour,
    one,
    subject,
    words,
)
from spacy.tokens import Doc, Span, Token
from wordnet import WordNet

TIMES = both_ways("before after") | {"until": "after", "till": "after", "during": "before", "while": "before"}
ORDINALS = both_ways("first last, earlier later") | {"previous": "next"}
MODALS = both_ways("must may") | {"might": "must", "will": "might", "should": "need not", "shall": "may"}
SURENESS = dict.fromkeys(("probably", "possibly", "perhaps", "maybe"), "certainly") | {
    "certainly": "possibly",
    "definitely": "possibly",
    "surely": "hardly",
}
ATTEMPTS = both_ways("manage fail, refuse agree, remember forget") | dict.fromkeys(("try", "attempt", "want"), "refuse")
CAUSES = both_ways("because although, if unless") | {"though": "because"}
STATES = listed(
    "be have wear seem feel become see know think like mean stand sit lie lay get go try start stop begin finish"
)
"""Verbs of states, which cannot be begun, pretended or refused."""


def time(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield sentences with another order or time of events."""
    for token in doc:
        if token.lower_ in TIMES and token.dep_ in ("prep", "mark", "advmod") and _links_times(token):
            yield [one(token, TIMES[token.lower_])]
        elif token.lower_ in ORDINALS and token.dep_ in ("amod", "advmod"):
            if token.lower_ not in ("last", "first") or neighbour(token, -1) in ("the", "his", "her", "their", "its"):
                yield [one(token, ORDINALS[token.lower_])]
        elif (
            token.lower_ == "when"
            and token.head.dep_ == "advcl"
            and subject(token.head)
            and token.head.lemma_ != "come"
        ):
            yield [one(token, "before")]
    for sentence in doc.sents:
        yield from _begun(sentence.root)


def _links_times(token: Token) -> bool:
    clause = token.head if token.dep_ in ("mark", "advmod") and token.head.dep_ == "advcl" else None
    if clause is not None and (subject(clause) is not None or token.lower_ not in ("until", "till")):
        return True
    return child(token, ["pobj", "pcomp"]) is not None


def _begun(verb: Token) -> Iterator[list[Change]]:
    """Move an action in progress to before its beginning or after its end."""
    helpers = [t for t in verb.children if t.dep_ in ("aux", "neg", "conj")]
    if (
        verb.tag_ != "VBG"
        or len(helpers) != 1
        or helpers[0].i != verb.i - 1
        or verb.lemma_ in STATES - {"stand", "sit"}
    ):
        return
    be = helpers[0]
    if be.lemma_ != "be" or be.tag_ not in ("VBZ", "VBP") or be.text[0] in "'’":
        return
    style = crc32(verb.doc.text.encode()) % 3
    if style == 0:
        yield [one(verb, f"about to {base_form(verb)}")]
    elif style == 1:
        yield [one(be, "will soon be")]
    else:
        yield [one(be, f"{'have' if be.lower_ in ('are', 'am') else 'has'} just stopped")]


def modality(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield sentences with another modality: more or less certain, allowed, wanted or done."""
    for token in doc:
        if token.tag_ == "MD" and token.dep_ == "aux" and token.lower_ in MODALS:
            actor = subject(token.head)
            if actor is not None and actor.i < token.i and not child(token.head, ["neg"]):
                yield [one(token, MODALS[token.lower_])]
        elif token.lower_ in SURENESS and token.dep_ == "advmod":
            yield [one(token, SURENESS[token.lower_])]
        elif token.lemma_ in ATTEMPTS and _attempts(token):
            form = inflect(ATTEMPTS[token.lemma_], token.tag_)
            yield from [[one(token, form)]] if form else []
    for sentence in doc.sents:
        yield from _unsure(sentence.root, wordnet)


def _attempts(verb: Token) -> bool:
    """Return whether "to do" follows a verb, and nothing makes its opposite unclear."""
    aim = child(verb, ["xcomp"])
    plain = not child(verb, ["neg", "dobj"]) and not child(verb, ["aux"], ["to"])
    return verb.pos_ == "VERB" and plain and aim is not None and child(aim, ["aux"], ["to"]) is not None


def _unsure(verb: Token, wordnet: WordNet) -> Iterator[list[Change]]:
    """Make a verb's action uncertain or incomplete."""
    word, actor = finite(verb), subject(verb)
    if verb.pos_ != "VERB" or word is None or actor is None or actor.i > word.i or word.text[0] in "'’":
        return
    if child(verb, ["neg", "conj", "prt", "ccomp", "xcomp"]) or actor.dep_ != "nsubj" or verb.lemma_ in ("be", "have"):
        return
    style, acts = crc32(verb.doc.text.encode()) % 3, is_being(actor, wordnet) and verb.lemma_ not in STATES
    if word.lemma_ == "be" and verb.tag_ == "VBG" and verb.i == word.i + 1:
        yield [one(word, ("might be", "should be", "cannot be")[style])]
        if acts:
            yield [one(verb, f"{('pretending', 'refusing', 'trying')[style]} to {base_form(verb)}")]
    elif acts and word == verb and word.tag_ in ("VBD", "VBZ"):
        way = ("fail", "refuse", "forget")[style]
        if verb.lemma_ not in ("fail", "refuse", "forget"):
            yield [one(verb, f"{inflect(way, word.tag_)} to {base_form(verb)}")]


def cause(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield sentences with another cause, condition or purpose."""
    for token in doc:
        if token.lower_ in CAUSES and token.dep_ == "mark" and token.head.dep_ == "advcl":
            yield from _linked(token)
        elif (token.lower_, neighbour(token, 1)) in (("because", "of"), ("due", "to")) and token.dep_ != "acomp":
            if not (token.i and token.nbor(-1).pos_ in ("ADV", "AUX")):
                yield [(token.i, token.i + 2, "despite")]
        elif token.lower_ == "despite" and token.dep_ == "prep":
            yield [one(token, "because of")]
        elif token.dep_ == "advcl" and token.tag_ == "VB" and neighbour(token, -1) == "to":
            yield from _without_end(token, wordnet)
        elif (
            token.lower_ == "by"
            and (inner := child(token, ["pcomp"]))
            and inner.i == token.i + 1
            and inner.tag_ == "VBG"
        ):
            yield [one(token, "without")]


def _linked(mark: Token) -> Iterator[list[Change]]:
    """Replace a conjunction of cause or condition, or exchange cause and effect."""
    conditional = mark.lower_ in ("if", "unless")
    if neighbour(mark, -1) in ("even", "as", "only", "what", "than"):
        return
    if not (conditional and (child(mark.head, ["neg"]) or mark.head.tag_ == "VBD")):
        yield [one(mark, CAUSES[mark.lower_])]
    if mark.lower_ == "because":
        yield from _reversed(mark.head, mark)


def _reversed(clause: Token, mark: Token) -> Iterator[list[Change]]:
    """Turn "A because B" into "B because A"."""
    if (found := clauses(clause, mark)) is not None:
        start, end, first, second = found
        yield [(start, end, f"{words(second)} because {words(first)}")]


def clauses(clause: Token, mark: Token) -> tuple[int, int, Span, Span] | None:
    """Return start, end, main and subordinate clause of "A because B"; None if they cannot change places."""
    main, doc = clause.head, clause.doc
    start, end = main.left_edge.i, clause.right_edge.i + 1
    if (
        mark.i < main.i
        or mark.i != clause.left_edge.i
        or main.dep_ != "ROOT"
        or not subject(main)
        or not subject(clause)
    ):
        return None
    while doc[end - 1].is_punct:
        end -= 1
    first, second = doc[start : mark.i], doc[mark.i + 1 : end]
    broken = any(t.is_punct and t.text not in "'-" for t in doc[start:end])
    pointing = any(
        t.tag_ in ("PRP", "PRP$") and t.lower_ not in ("i", "my", "we", "our", "you", "your") for t in second
    )
    return None if broken or pointing else (start, end, first, second)


def _without_end(verb: Token, wordnet: WordNet) -> Iterator[list[Change]]:
    """Turn "to do" and "in order to do", as a purpose, into "without doing"."""
    start, head = verb.i - 1, verb.head
    if head.i > verb.i or head.pos_ != "VERB" or child(head, ["auxpass"]) or not wordnet.senses(base_form(verb), "v"):
        return
    if child(verb, ["mark", "neg", "conj", "nsubj", "ccomp", "xcomp"]):
        return
    if start >= 2 and verb.doc[start - 2 : start].text.lower() == "in order":
        start -= 2
    form = inflect(base_form(verb), "VBG")
    if form is not None:
        yield [(start, verb.i + 1, f"without {form}")]
