"""English grammar for rewriting parsed sentences: inflection, agreement and replaced stretches of words.

Sentences are spaCy documents with tags, dependencies and lemmas; inflection is lemminflect's.
"""

import re
from collections.abc import Iterable, Sequence

from lemminflect import getInflection
from spacy.tokens import Doc, Span, Token
from wordnet import GROUP, PERSON, WordNet, default_wordnet

Change = tuple[int, int, str]
"""Start token, end token (exclusive) and replacement words; start = end inserts, empty words delete."""

POS = {"NOUN": "n", "VERB": "v", "ADJ": "a", "ADV": "r"}


def listed(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


OBJECTIVE = {"i": "me", "he": "him", "she": "her", "we": "us", "they": "them"}
PERSONAL = listed("i you he she we they me him her us them someone somebody everyone everybody")
SUBJECTIVE = {oblique: subject for subject, oblique in OBJECTIVE.items()}
POSSESSOR = {"his": "him", "her": "her", "their": "them", "my": "me", "our": "us", "your": "you"}
_AN = re.compile(
    r"(?:[aeio](?!ne\b|nce\b|uro|u[a-z]*ro)|u(?!ni(?!n|m)|s[aeiu]|tens|tili|kul|ran|biq|top)|hour|honest|honou?r|heir)"
)
_ARTICLE = re.compile(r"\b(an?) ([\w-]+)", re.IGNORECASE)


def inflect(lemma: str, tag: str) -> str | None:
    """Return a lemma's form for a Penn Treebank tag, None if there is none."""
    forms = getInflection(lemma, tag)
    return forms[0] if forms else None


def base_form(verb: Token) -> str:
    """Return a verb's base form; the parser's lemma of "riding" is "rid"."""
    lemma = verb.lemma_.lower()
    return "ride" if lemma == "rid" else lemma


def article(word: str) -> str:
    """Return the article "a" or "an" for a word."""
    return "an" if _AN.match(word.lower()) else "a"


def words(span: Span) -> str:
    """Return a span's text for use inside a sentence, without the capital of a sentence's first word."""
    text, first = span.text, span[0]
    named = first.pos_ == "PROPN" or first.text == "I" or (first.text.isupper() and len(first) > 1)
    named = named or (first.pos_ in ("ADJ", "NOUN") and default_wordnet().is_capitalised(first.text))
    return text if named or not _starts_sentence(first) else text[0].lower() + text[1:]


def rewrite(doc: Doc, changes: Iterable[Change]) -> str:
    """Return the document's text with spans replaced, and capitals, articles and spaces corrected.

    Raises: ValueError if two changes overlap.
    """
    pieces, at = [], 0
    for start, end, text in sorted(changes):
        if start < at:
            raise ValueError(f"Changes overlap at token {start}.")
        pieces.append(doc[at:start].text_with_ws)
        starts_sentence = start < len(doc) and _starts_sentence(doc[start]) and doc[start].text[:1].isupper()
        written = text[:1].upper() + text[1:] if starts_sentence else text
        pieces.append(written + (" " if start == end else doc[end - 1].whitespace_ if text else ""))
        at = end
    pieces.append(doc[at:].text_with_ws)
    return _tidied("".join(pieces), doc.text)


def _starts_sentence(token: Token) -> bool:
    before = token.doc[token.i - 1] if token.i else None
    return bool(token.is_sent_start) or (before is not None and bool(before.is_sent_start) and before.is_quote)


def _tidied(text: str, original: str) -> str:
    text = re.sub(r" +([.,;:?!])", r"\1", re.sub(r" {2,}", " ", text)) if " ." not in original else text
    known = {(a.lower(), word.lower()) for a, word in _ARTICLE.findall(original)}

    def right(match: re.Match[str]) -> str:
        given, word = match.groups()
        if (given.lower(), word.lower()) in known:
            return match.group()
        wanted = article(word)
        return f"{wanted.capitalize() if given[0].isupper() else wanted} {word}"

    text = _ARTICLE.sub(right, text.strip())
    return text[:1].upper() + text[1:] if original[:1].isupper() else text


def is_plural(head: Token) -> bool:
    """Return whether a noun phrase takes a plural verb."""
    if any(child.dep_ == "conj" for child in head.children) and any(c.lower_ == "and" for c in head.children):
        return True
    verb = head.head if head.dep_ in ("nsubj", "nsubjpass") and head.tag_ == "NN" else None
    if verb is not None and verb.pos_ in ("VERB", "AUX") and (word := finite(verb)) and word.tag_ == "VBP":
        return True  # "the couple are"
    if head.lower_ in ("lot", "couple", "number", "majority", "pair", "bunch", "dozen"):
        return any(t.tag_ == "NNS" for c in head.children if c.lower_ == "of" for t in c.children)
    return (
        "Plur" in head.morph.get("Number", []) or head.tag_ in ("NNS", "NNPS") or head.lower_ in ("you", "they", "we")
    )


def finite(verb: Token) -> Token | None:
    """Return the finite word of a verb phrase, which agrees with the subject."""
    chain = [t for t in verb.children if t.dep_ in ("aux", "auxpass") and t.i < verb.i]
    return next((t for t in [*chain, verb] if t.tag_ in ("VBZ", "VBP", "VBD", "MD")), None)


def agreeing(verb: Token, plural: bool, first_person: bool = False) -> list[Change] | None:
    """Return the changes that make a verb agree with a new subject; None if that is unsafe.

    Coordinated verbs without their own subject are changed too.
    """
    changes: list[Change] = []
    joined = [t for t in verb.conjuncts if t.i > verb.i and not any(c.dep_.startswith("nsubj") for c in t.children)]
    for each in (verb, *joined):
        word = finite(each)
        if word is None and each.tag_ not in ("VB", "VBG", "VBN"):
            return None
        if word is None or word.tag_ == "MD":
            continue
        if word.text[0] in "'’":
            return None
        form = _form(word, plural, first_person)
        if form is None:
            return None
        if form != word.lower_:
            changes.append((word.i, word.i + 1, form))
    return changes


def _form(word: Token, plural: bool, first_person: bool) -> str | None:
    if word.lemma_ == "be":
        if word.tag_ == "VBD":
            return "were" if plural else "was"
        return "am" if first_person else "are" if plural else "is"
    if word.tag_ == "VBD":
        return word.lower_
    if word.lemma_ in ("have", "do"):
        return word.lemma_ if plural or first_person else {"have": "has", "do": "does"}[word.lemma_]
    return inflect(word.lemma_, "VBP" if plural or first_person else "VBZ")


def phrase(head: Token, longest: int = 12) -> Span | None:
    """Return the noun phrase of a head as one span; None if it is long or contains a comma or bracket."""
    span = head.doc[head.left_edge.i : head.right_edge.i + 1]
    while len(span) and span[-1].is_punct:
        span = span[:-1]
    if not 0 < len(span) <= longest or not is_whole(span) or any(t.is_punct and t.text not in "-'" for t in span):
        return None
    return span


def is_whole(span: Span) -> bool:
    """Return whether a span is separate from its neighbours: no hyphen or possessive joins them."""
    doc = span.doc
    if span[-1].tag_ == "POS":
        return False
    around = [doc[i].text for i in (span.start - 1, span.end) if 0 <= i < len(doc)]
    return not {"-", "--", "/", "'s", "’s"} & set(around) and around[-1:] != ["'"]


def subject(verb: Token) -> Token | None:
    """Return the head of a verb's own subject."""
    return next((t for t in verb.children if t.dep_ in ("nsubj", "nsubjpass") and t.i < verb.i), None)


def child(token: Token, deps: Sequence[str], texts: Sequence[str] = ()) -> Token | None:
    """Return the first child of given relations (and words)."""
    return next((t for t in token.children if t.dep_ in deps and (not texts or t.lower_ in texts)), None)


def one(token: Token, text: str) -> Change:
    """Return the change of one word."""
    return (token.i, token.i + 1, text)


def neighbour(token: Token, distance: int) -> str:
    """Return the lower-case word `distance` places on (back if negative), "" beyond the text."""
    place = token.i + distance
    return token.doc[place].lower_ if 0 <= place < len(token.doc) else ""


def both_ways(pairs: str) -> dict[str, str]:
    """Return a mapping in both directions of "a b, c d"."""
    split = [pair.split() for pair in pairs.split(",")]
    return {a: b for first, second in split for a, b in ((first, second), (second, first))}


def is_being(token: Token, wordnet: WordNet) -> bool:
    """Return whether a noun or pronoun can act: a person, an animal or a group of them."""
    if token.pos_ == "PRON":
        return token.lower_ in PERSONAL
    if token.pos_ == "PROPN":
        return wordnet.file(token.text) in (None, PERSON, GROUP)
    if token.lemma_ in ("lot", "number", "pair", "bunch", "couple", "group", "crowd", "team"):
        inner = child(token, ["prep"], ["of"])
        noun = child(inner, ["pobj"]) if inner else None
        return is_being(noun, wordnet) if noun else token.lemma_ in ("couple", "group", "crowd", "team")
    return token.pos_ == "NOUN" and wordnet.is_being(token.lemma_)
