"""Edits of single words: WordNet antonyms, numbers, quantities and comparisons."""

from collections.abc import Iterator
from zlib import crc32

from grammar import (
    POS,
    Change,
    agreeing,
    both_ways,
    child,
    inflect,
    is_being,
    listed,
    neighbour,
    one,
    subject,
)
from spacy.tokens import Doc, Token
from wordnet import Sense, WordNet

DIRECTIONS = both_ways("inside outside, above below, over under, up down, upstairs downstairs, indoors outdoors") | {
    "behind": "in front of",
    "into": "out of",
    "toward": "away from",
    "towards": "away from",
}
NUMBERS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
QUANTITIES = {"most": "few", "few": "most", "many": "few", "several": "no", "all": "few"}
OF_BEINGS = {"old": ("young", "new"), "short": ("tall", "long"), "little": ("big", "big")}
"""Adjectives with one opposite for beings and another for things."""
GENDERED = listed("he she his her him himself herself")
COUNTING = listed("lot couple number bunch few")
TRANSITIVE, INTRANSITIVE = frozenset((*range(8, 12), 20, 21, 24, 30)), frozenset((1, 2, 3, 4, 12, 22, 23, 27))
"""WordNet's verb frames with and without an object."""


def antonym(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield sentences with an adjective, verb, adverb, noun or word of direction replaced by its opposite."""
    for token in doc:
        if token.lower_ in DIRECTIONS and _directs(token):
            yield [one(token, DIRECTIONS[token.lower_])]
        elif token.pos_ in POS and is_free(token):
            form = opposite(token, POS[token.pos_], wordnet)
            if form is not None:
                yield [one(token, form)]


def _directs(token: Token) -> bool:
    """Return whether a word means a direction, not a number ("over 40"), and is not combined ("up over")."""
    if token.dep_ not in ("prep", "advmod") or child(token, ["advmod", "npadvmod"]):
        return False
    if token.lower_ in ("up", "down") and not child(token, ["pobj"]):
        return False
    return not (token.lower_ == "over" and token.i and token.nbor(-1).pos_ in ("ADV", "VERB"))


def is_free(token: Token) -> bool:
    """Return whether a word stands alone: no auxiliary, name, compound part or phrasal verb."""
    if token.dep_ in ("compound", "aux", "auxpass", "neg", "prt") or token.tag_ in ("MD", "WRB"):
        return False
    if token.lemma_ in (
        "be",
        "have",
        "do",
        "not",
        "other",
        "same",
        "more",
        "less",
        "most",
        "first",
        "last",
        "previous",
    ):
        return False
    if token.pos_ == "VERB" and child(token, ["prt", "xcomp", "ccomp"]):
        return False
    if token.pos_ == "NOUN" and any(t.tag_ in ("PRP", "PRP$") and t.lower_ in GENDERED for t in token.sent):
        return False
    return "-" not in (neighbour(token, -1), neighbour(token, 1)) and (token.lower_, token.pos_) != ("little", "ADV")


def opposite(token: Token, pos: str, wordnet: WordNet) -> str | None:
    """Return the inflected form of a word's commonest antonym, None if none fits."""
    found = wordnet.antonyms(token.lemma_.lower(), pos)
    if not found:
        return None
    word, sense = found[0]
    if pos == "a" and token.lemma_ in OF_BEINGS and token.tag_ == "JJ":
        word = OF_BEINGS[token.lemma_][0 if is_being(token.head, wordnet) else 1]
    known = "_" not in word and wordnet.frequency(word, pos) >= 3
    if (
        not known
        or any(t.lemma_ == word for t in token.sent)
        or (pos == "v" and not _takes_the_same(token, word, sense))
    ):
        return None
    form = word if token.tag_ in ("JJ", "RB", "NN") else inflect(word, token.tag_)
    return form if form is not None and " " not in form else None


def _takes_the_same(verb: Token, word: str, sense: Sense) -> bool:
    """Return whether an antonym is as transitive as the verb and not a participle like "undressed"."""
    wanted = TRANSITIVE if child(verb, ["dobj"]) else INTRANSITIVE
    return bool(sense.frames & wanted) and not (verb.tag_ == "VBN" and word.startswith("un"))


def number(doc: Doc, wordnet: WordNet) -> Iterator[list[Change]]:
    """Yield sentences with another number, quantity or comparison."""
    for token in doc:
        if token.lower_ in NUMBERS and token.dep_ == "nummod":
            step = 1 + crc32(doc.text.encode()) % 4
            yield [one(token, NUMBERS[(NUMBERS.index(token.lower_) + step) % len(NUMBERS)])]
        elif token.text.isdigit() and token.tag_ == "CD" and token.text not in ("0", "1"):
            yield [one(token, _other_digits(token.text))]
        else:
            yield from ([one(token, word)] for word in (_compared(token) or _quantity(token),) if word)
        yield from _counted(token)


def _other_digits(text: str) -> str:
    """Return another number with as many digits: ten years earlier for a year, otherwise twice or half."""
    value = int(text)
    if len(text) == 4 and text[:2] in ("18", "19", "20"):
        return str(value - 10)
    other = value * 2 if len(str(value * 2)) == len(text) else value // 2
    return str(other if other > 1 else value + 2).zfill(len(text))


def _compared(token: Token) -> str | None:
    """Return the opposite of "more", "less" or "fewer", and of "most" or "least" after "at"."""
    if token.lower_ in ("least", "most"):
        return {"least": "most", "most": "least"}[token.lower_] if neighbour(token, -1) == "at" else None
    if token.lower_ not in ("more", "less", "fewer") or token.i + 1 == len(token.doc):
        return None
    following = token.nbor()
    if following.lower_ != "than" and following.tag_ not in ("JJ", "RB", "NNS", "NN"):
        return None
    counted = following.tag_ == "NNS" or (following.lower_ == "than" and token.dep_ == "amod")
    return "more" if token.lower_ != "more" else "fewer" if counted else "less"


def _quantity(token: Token) -> str | None:
    """Return a clearly different quantity for "most", "few", "many", "several" or "all" before a plural or "of"."""
    word = QUANTITIES.get(token.lower_)
    if word is None or token.i + 1 == len(token.doc):
        return None
    if neighbour(token, 1) == "of":
        return "none" if token.lower_ == "several" else word
    if neighbour(token, -1) in ("a", "the", "very", "so", "how", "too", "at", "as", "not") or token.head.tag_ != "NNS":
        return None
    return word if token.dep_ == "amod" or (token.dep_ == "det" and token.nbor().tag_ in ("NNS", "JJ")) else None


def _counted(verb: Token) -> Iterator[list[Change]]:
    """Turn the "a" of a subject, or of a caption's main noun, into a number; noun and verb agree."""
    titled = verb.dep_ == "ROOT" and child(verb, ["acl"]) is not None
    head = subject(verb) if verb.pos_ in ("VERB", "AUX") else verb if titled else None
    determiner = child(head, ["det"]) if head is not None else None
    if head is None or determiner is None or determiner.lower_ not in ("a", "an") or head.tag_ != "NN":
        return
    if child(head, ["conj", "relcl", "appos", "compound"]) or head.lower_ in COUNTING or head.lemma_ == "person":
        return
    telling = child(verb, ["attr", "expl", "oprd"]) or any(t.tag_ in ("PRP", "PRP$") for t in head.sent)
    plural, agreed = inflect(head.lemma_, "NNS"), agreeing(verb, True) if head != verb else []
    if not telling and plural is not None and plural != head.lower_ and agreed is not None:
        count = NUMBERS[crc32(head.doc.text.encode()) % 4]
        yield [one(determiner, count), one(head, plural), *agreed]
