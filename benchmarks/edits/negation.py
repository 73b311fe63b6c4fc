"""Edits that insert or remove a negation."""

from collections.abc import Iterator

from grammar import (
    Change,
    base_form,
    child,
    finite,
    inflect,
    is_plural,
    listed,
    phrase,
    subject,
    words,
)
from spacy.tokens import Doc, Token
from wordnet import WordNet

CONTRACTED = {
    "is": "isn't",
    "are": "aren't",
    "was": "wasn't",
    "were": "weren't",
    "has": "hasn't",
    "have": "haven't",
    "had": "hadn't",
    "does": "doesn't",
    "do": "don't",
    "did": "didn't",
    "will": "won't",
    "would": "wouldn't",
    "can": "can't",
    "could": "couldn't",
    "should": "shouldn't",
    "must": "must not",
}
WHOLE = {"ca": "can", "wo": "will", "sha": "shall"}
POSITIVE = {"nobody": "somebody", "nothing": "something", "none": "some", "no-one": "someone", "nowhere": "somewhere"}
ANY = {"any": "some", "anything": "something", "anyone": "someone", "anybody": "somebody", "anywhere": "somewhere"}
FOCUSED = listed(
    "only just also too already still even both either neither all every each some many most few any ever yet"
)
"""Words that change or cancel the effect of "not"."""
HELD = listed("have wear hold carry use eat own see contain drink get find bring take make need play show")


def negation(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield sentences without their negation, or with one inserted at a verb, a subject, an object or "with"."""
    out = list(_removed(doc))
    yield from out
    if out or any(t.dep_ == "neg" or t.lower_ in ("no", "nobody", "nothing", "without", "hardly") for t in doc):
        return
    for sentence in doc.sents:
        verb = sentence.root
        if verb.pos_ in ("VERB", "AUX"):
            yield from _at_verb(verb)
            yield from _at_nouns(verb)
        yield from _fragment(verb)
        yield from _with(sentence.root)


def _blocked(verb: Token) -> bool:
    return any(t.lower_ in FOCUSED or t.lower_ in ("or", "?") for t in verb.sent)


def _at_verb(verb: Token) -> Iterator[list[Change]]:
    word = finite(verb)
    actor = subject(verb) or child(verb, ["expl"])
    if word is None or actor is None or actor.i > word.i or word.text[0] in "'’" or _blocked(verb):
        return
    if any(t.dep_ == "conj" and t.pos_ in ("VERB", "AUX") for t in verb.children):
        return
    if word.tag_ == "MD" or word != verb or word.lemma_ == "be":
        if word.lower_ not in CONTRACTED or word.lemma_ == "do":
            return
        if word.lower_ != "must":
            yield [(word.i, word.i + 1, CONTRACTED[word.lower_])]
        yield [(word.i + 1, word.i + 1, "not")] if word.lower_ != "can" else [(word.i, word.i + 1, "cannot")]
        return
    support = {"VBZ": "does", "VBP": "do", "VBD": "did"}[word.tag_]
    base = base_form(word)
    yield [(word.i, word.i + 1, f"{support} not {base}")]
    yield [(word.i, word.i + 1, f"{CONTRACTED[support]} {base}")]
    yield [(word.i, word.i, "never")]


def _at_nouns(verb: Token) -> Iterator[list[Change]]:
    actor, thing = (
        subject(verb),
        child(verb, ["dobj"] if verb.lemma_ in HELD else ["attr"] if child(verb, ["expl"]) else []),
    )
    if _blocked(verb):
        return
    for head in (actor, thing):
        if head is not None and head.pos_ == "NOUN" and not child(head, ["conj"]):
            yield from _no(head)


def _no(head: Token) -> Iterator[list[Change]]:
    """Put "no" before an indefinite noun phrase."""
    if child(head, ["nummod", "poss", "quantmod", "predet"]) or head.lower_ in ("lot", "couple", "number", "bunch"):
        return
    if any(
        t.lower_ in ("several", "many", "few", "other", "various", "multiple", "more", "most") for t in head.children
    ):
        return
    determiner = child(head, ["det"])
    if determiner is not None and determiner.lower_ in ("a", "an"):
        yield [(determiner.i, determiner.i + 1, "no")]
    elif determiner is None and head.tag_ == "NNS" and phrase(head) is not None:
        first = head.left_edge
        yield [(first.i, first.i + 1, f"no {words(head.doc[first.i : first.i + 1])}")]


def _fragment(head: Token) -> Iterator[list[Change]]:
    """Negate the participle of a caption such as "A man playing chess"."""
    verb = child(head, ["acl"]) if head.pos_ == "NOUN" else head if finite(head) is None else None
    if verb is None or verb.tag_ != "VBG" or _blocked(verb) or child(verb, ["conj"]):
        return
    if verb != head or subject(verb):
        yield [(verb.i, verb.i, "not")]


def _with(root: Token) -> Iterator[list[Change]]:
    for prep in root.sent:
        if prep.lower_ == "with" and prep.dep_ == "prep" and prep.head.pos_ == "NOUN" and prep.i == prep.head.i + 1:
            thing = child(prep, ["pobj"])
            if thing is not None and thing.pos_ == "NOUN" and phrase(thing) and not child(thing, ["nummod", "conj"]):
                yield [(prep.i, prep.i + 1, "without")]


def _removed(doc: Doc) -> Iterator[list[Change]]:
    if any(t.lower_ in ("ever", "yet", "either", "nor", "neither", "unless", "but", "only", "much") for t in doc):
        return
    anys = [(t.i, t.i + 1, ANY[t.lower_]) for t in doc if t.lower_ in ANY]
    negating = [t for t in doc if t.dep_ == "neg" or t.lower_ in ("no", "without", "cannot", *POSITIVE)]
    if len(negating) != 1:
        return
    token = negating[0]
    changes = _verb_restored(token) if token.dep_ == "neg" and token.lower_ != "no" else _noun_restored(token)
    if changes:
        yield [*changes, *anys]


def _noun_restored(token: Token) -> list[Change] | None:
    here, following = (token.i, token.i + 1), token.doc[token.i + 1] if token.i + 1 < len(token.doc) else None
    if token.lower_ in POSITIVE and not (following is not None and following.lower_ in ("of", "but")):
        return [(*here, POSITIVE[token.lower_])]
    if token.lower_ == "without" and following is not None and following.tag_ != "VBG":
        return [(*here, "with")]
    if token.lower_ != "no" or following is None or following.lower_ in ("one", "longer", "more", "way", "doubt"):
        return [(token.i, token.i + 2, "someone")] if following is not None and following.lower_ == "one" else None
    if token.dep_ != "det":
        return None
    return [(*here, "some" if is_plural(token.head) or token.head.tag_ != "NN" else "a")]


def _verb_restored(token: Token) -> list[Change] | None:
    verb, here = token.head, (token.i, token.i + 1, "")
    actor = subject(verb)
    if token.lower_ == "never":
        return [here] if token.i > 0 and verb.i == token.i + 1 and actor is not None else None
    aux = token.doc[token.i - 1] if token.i else None
    if aux is None or token.lower_ not in ("not", "n't", "n’t") or aux.pos_ != "AUX":
        return None
    if aux.lemma_ != "do":
        return [(aux.i, token.i + 1, WHOLE.get(aux.lower_, aux.text))] if verb in (aux.head, aux) else None
    if actor is None or verb.tag_ != "VB" or actor.i > aux.i:
        return None
    form = inflect(base_form(verb), {"does": "VBZ", "do": "VBP", "did": "VBD"}.get(aux.lower_, "VBP"))
    return [(aux.i, token.i + 1, ""), (verb.i, verb.i + 1, form)] if form else None
