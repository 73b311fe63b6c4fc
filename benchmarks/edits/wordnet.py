"""Read WordNet's meanings, antonyms and synonyms from Princeton's database files.

The files are those of WordNet 3.0 as Debian's `wordnet-base` installs them (licence: WordNet 3.0, which allows use and
distribution with its notice).
"""

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

WORDNET = Path(os.environ.get("WORDNET", "/usr/share/wordnet"))
_FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv", "s": "adj"}
_KEY_POS = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
PERSON, ANIMAL, GROUP, ARTIFACT, FOOD = 18, 5, 14, 6, 13
"""Numbers of WordNet's lexicographer files."""


@dataclass(frozen=True)
class Sense:
    """Hold one meaning: its words, lexicographer file, pointers (symbol, offset, pos, source, target) and count."""

    words: tuple[str, ...]
    file: int
    pointers: tuple[tuple[str, int, str, int, int], ...]
    frames: frozenset[int]
    count: int


class WordNet:
    """Look up meanings in Princeton's database files."""

    def __init__(self, folder: Path = WORDNET) -> None:
        """Read the indexes of a folder.

        Raises: FileNotFoundError if the folder has no WordNet; `apt-get install wordnet-base` brings it.
        """
        self._data = {pos: (folder / f"data.{name}").read_bytes() for pos, name in _FILES.items()}
        self._index = {pos: _index(folder / f"index.{_FILES[pos]}") for pos in "nvar"}
        self._counts = _counts(folder / "cntlist.rev")
        self.senses = lru_cache(maxsize=None)(self._senses)
        self.adjective_class = lru_cache(maxsize=None)(self._adjective_class)

    def _senses(self, lemma: str, pos: str) -> tuple[Sense, ...]:
        lemma = lemma.lower().replace(" ", "_")
        offsets = self._index[pos].get(lemma, ())
        return tuple(self._sense(o, pos, self._counts.get((lemma, pos, i), 0)) for i, o in enumerate(offsets, 1))

    def _sense(self, offset: int, pos: str, count: int = 0) -> Sense:
        data = self._data[pos]
        fields = data[offset : data.index(b"\n", offset)].decode().split(" | ")[0].split()
        number, at = int(fields[3], 16), 4
        words = tuple(re.sub(r"\(\w+\)$", "", word) for word in fields[at : at + 2 * number : 2])
        at += 2 * number
        pointers = []
        for p in range(int(fields[at])):
            symbol, target, kind, ends = fields[at + 1 + 4 * p : at + 5 + 4 * p]
            pointers.append((symbol, int(target), kind, int(ends[:2], 16), int(ends[2:], 16)))
        rest = fields[at + 1 + 4 * len(pointers) :]
        frames = frozenset(int(rest[i + 1]) for i, word in enumerate(rest) if word == "+")
        return Sense(words, int(fields[1]), tuple(pointers), frames, count)

    def is_capitalised(self, word: str) -> bool:
        """Return whether WordNet always capitalises a word, such as "Jewish"."""
        forms = [form for pos in "na" for sense in self.senses(word, pos) for form in sense.words]
        own = [form for form in forms if form.lower() == word.lower()]
        return bool(own) and all(form[0].isupper() for form in own)

    def main_senses(self, lemma: str, pos: str) -> list[Sense]:
        """Return a word's first meaning and those that make up at least a third of its uses."""
        senses = self.senses(lemma, pos)
        total = sum(sense.count for sense in senses)
        return [sense for i, sense in enumerate(senses) if i == 0 or sense.count * 3 >= total > 0]

    def antonyms(self, lemma: str, pos: str) -> list[tuple[str, Sense]]:
        """Return direct antonyms of the main meanings, commonest first, if the meaning is main for the antonym too."""
        found: dict[str, Sense] = {}
        for sense in self.main_senses(lemma, pos):
            for symbol, offset, kind, source, target in sense.pointers:
                if symbol == "!" and sense.words[source - 1].lower() == lemma.lower():
                    other = self._sense(offset, kind)
                    word = other.words[target - 1]
                    if any(other.words == main.words for main in self.main_senses(word, pos)):
                        found.setdefault(word, other)
        return sorted(found.items(), key=lambda item: -self.frequency(item[0], pos))

    def synonyms(self, lemma: str, pos: str) -> list[str]:
        """Return single-word synonyms of the first meaning if it covers most uses and is their first meaning too."""
        senses = self.senses(lemma, pos)
        if not senses or senses[0].count * 4 < 3 * sum(sense.count for sense in senses):
            return []
        first = senses[0]
        others = [word for word in first.words if word.lower() != lemma.lower() and word.isalpha() and word.islower()]
        others = [w for w in others if self.senses(w, pos)[0].count * 4 >= 3 * self.frequency(w, pos)]
        return [
            w
            for w in others
            if self.frequency(w, pos) * 20 >= first.count
            and self.frequency(w, pos) >= 3
            and self.senses(w, pos)[0].words == first.words
        ]

    def frequency(self, lemma: str, pos: str) -> int:
        """Return a word's frequency in WordNet's tagged texts."""
        return sum(sense.count for sense in self.senses(lemma, pos))

    def file(self, lemma: str) -> int | None:
        """Return the lexicographer file of a noun's first meaning."""
        senses = self.senses(lemma, "n")
        return senses[0].file if senses else None

    def is_being(self, lemma: str) -> bool:
        """Return whether a noun means a person or an animal, and not also a thing, a food or a colour."""
        senses = self.senses(lemma, "n")
        if not senses or senses[0].file not in (PERSON, ANIMAL) or self.adjective_class(lemma) == "color":
            return False
        return all(s.count * 2 < senses[0].count for s in senses if s.file in (ARTIFACT, FOOD))

    def _adjective_class(self, lemma: str) -> str | int | None:
        """Return "color" or the attribute that an adjective is a value of, such as age or size."""
        for sense in self.senses(lemma, "n"):
            if any(
                symbol == "@" and "color" in " ".join(self._sense(o, k).words) for symbol, o, k, _, _ in sense.pointers
            ):
                return "color"
        for sense in self.senses(lemma, "a")[:1]:
            heads = [sense, *(self._sense(o, "a") for symbol, o, _, _, _ in sense.pointers if symbol == "&")]
            return next((o for head in heads for symbol, o, _, _, _ in head.pointers if symbol == "="), None)
        return None


def _index(path: Path) -> dict[str, tuple[int, ...]]:
    entries = {}
    for line in path.read_text().splitlines():
        if not line.startswith(" "):
            fields = line.split()
            entries[fields[0]] = tuple(int(offset) for offset in fields[-int(fields[2]) :])
    return entries


def _counts(path: Path) -> dict[tuple[str, str, int], int]:
    counts: dict[tuple[str, str, int], int] = {}
    for line in path.read_text().splitlines():
        key, number, count = line.split()
        lemma, _, rest = key.partition("%")
        counts[lemma, _KEY_POS[rest[0]], int(number)] = int(count)
    return counts


@lru_cache(maxsize=1)
def default_wordnet() -> WordNet:
    """Open this machine's WordNet, once.

    Raises: FileNotFoundError if it is missing.
    """
    return WordNet()
