"""Rule-based check that a paraphrase keeps numbers, names and negations. English only.

Embedding judges rate a negated sentence, or one with another number, as nearly the same.
"""

import re

from sempa.data.negation import negates

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_SMALL.split())}
_VALUES |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9}
_TOKEN = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?|[^\W\d_]+|\S")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-]\w+)*")
_OPENS = (".", "!", "?", ":", '"', "\u201c")
"""Characters before the first word of a sentence, in quotation marks or not."""


def facts_kept(sentence: str, paraphrase: str) -> bool:
    """Return whether a paraphrase has the same numbers and polarity as a sentence and keeps its names.

    Always false for an empty paraphrase.
    """
    return (
        bool(paraphrase.strip())
        and numbers_of(sentence) == numbers_of(paraphrase)
        and names_of(sentence) <= set(re.findall(r"\w+", paraphrase.lower()))
        and negates(sentence) == negates(paraphrase)
    )


def numbers_of(text: str) -> set[float]:
    """Return the numbers of a text, in digits or words: "2.5 million", "1,200", "two hundred and five", "a dozen".

    "one" alone, usually a pronoun, and ordinal numbers in words do not count.
    """
    found: set[float] = set()
    run: list[str] = []
    total = current = 0.0
    room = 0.0  # a smaller value continues the number: five after twenty, forty after hundred

    def close() -> None:
        nonlocal total, current, room
        if run and run != ["one"]:
            found.add(total + current)
        run.clear()
        total = current = room = 0.0

    for word in _TOKEN.findall(text.lower()):
        if word in _SCALES:
            scale, current = _SCALES[word], current if run else 1
            total, current = (total, current * scale) if scale <= 100 else (total + current * scale, 0)
            room = scale
        elif word[0].isdigit() or word in _VALUES:
            value = float(word.replace(",", "")) if word[0].isdigit() else float(_VALUES[word])
            if value >= room:
                close()
            current += value
            room = 10 if word in _TENS.split() else 0
        else:
            if word != "-" and not (word == "and" and room >= 100):
                close()
            continue
        run.append(word)
    close()
    return found


def names_of(text: str) -> set[str]:
    """Return the words of a text's names in lower case: capitalised words inside sentences, except "I".

    A word after a full stop, as in "Mr. Smith", might start a sentence and does not count.
    """
    found: set[str] = set()
    for match in _WORD.finditer(text):
        before = text[: match.start()].rstrip()
        if match[0][0].isupper() and before and not before.endswith(_OPENS) and not re.match(r"I\b", match[0]):
            found |= set(re.findall(r"\w+", match[0].lower())) - {"s"}
    return found
