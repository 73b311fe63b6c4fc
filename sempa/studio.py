"""What every face offers, as plain functions of text: the app, its endpoints and the command line all call this."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sempa.errors import InputError, RecipeMismatch
from sempa.evidence.results import StsResult, read_sts_results
from sempa.models.pair import ModelPair
from sempa.reading.encoder import Encoder
from sempa.reading.index import INDEX_ROOT, Hit, SentenceIndex, index_folder, index_names
from sempa.templates import SentenceTemplate
from sempa.writing import Sampling, Texts, write

RESULTS_ROOT = Path(__file__).parents[1] / "results"
DEMO = "demo"
MAX_CHARACTERS = 5_000
"""Longest text taken from a visitor; the model reads the first few hundred words of it at most."""
MAX_SENTENCES = 256
"""Most sentences of one request."""
MAX_HITS = 100
READ_AT_ONCE = 2_000
"""Most texts that are read while a visitor waits: a minute or two on two cores."""
REMEMBERED = 2_000
"""Vectors of single sentences kept, so that moving a slider reads nothing again."""

Row = NDArray[np.float32]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class RankedHit:
    """Hold a hit and the rank the same text has under the other model (None where there is one model)."""

    hit: Hit
    other_rank: int | None


def hits_payload(found: Mapping[str, Sequence[RankedHit]]) -> dict[str, list[dict[str, object]]]:
    """Return a search's answer as JSON types: for each model a list of rank, text, cosine, rank under the other."""
    return {
        variant: [
            {
                "rank": ranked.hit.rank,
                "text": ranked.hit.text,
                "cosine": float(np.clip(ranked.hit.cosine, -1, 1)),
                "other_rank": ranked.other_rank,
            }
            for ranked in hits
        ]
        for variant, hits in found.items()
    }


class Studio:
    """Answer for both models of one encoder; safe to call from many threads."""

    def __init__(self, encoder: Encoder, index_root: Path = INDEX_ROOT, results_root: Path = RESULTS_ROOT) -> None:
        self.encoder = encoder
        self._index_root = index_root
        self._results_root = results_root
        self._indexes: dict[str, SentenceIndex] = {}
        self._backgrounds: dict[str, Row] = {}
        self._remembered: OrderedDict[tuple[str, str], Row] = OrderedDict()
        self._lock = threading.Lock()
        self._building = threading.Lock()

    @property
    def pair(self) -> ModelPair:
        """Return the resident model."""
        return self.encoder.pair

    @property
    def variants(self) -> tuple[str, ...]:
        """Return the models there are."""
        return self.encoder.variants

    def embed(self, sentences: Sequence[str], variant: str) -> NDArray[np.float32]:
        """Return (N, D) unit rows; each sentence is read by itself, so its vector is the same in any request.

        Raises: InputError for too many, too long, empty or non-text sentences, or an unknown variant.
        """
        _require_sentences(sentences)
        self.encoder.recipe(variant)  # refuses an unknown one, even where there is nothing to read
        missing = [sentence for sentence in dict.fromkeys(sentences) if self._recall(sentence, variant) is None]
        fresh = dict(zip(missing, self.encoder.encode(missing, variant, alone=True), strict=True))
        with self._lock:
            for sentence, row in fresh.items():
                self._remembered[sentence, variant] = row
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        rows = [fresh[s] if s in fresh else self._recall(s, variant) for s in sentences]
        missed = [i for i, row in enumerate(rows) if row is None]  # pushed out by another thread meanwhile
        for i in missed:
            rows[i] = self.encoder.encode([sentences[i]], variant, alone=True)[0]
        return np.stack([row for row in rows if row is not None]) if rows else self.encoder.encode([], variant)

    def _recall(self, sentence: str, variant: str) -> Row | None:
        with self._lock:
            return self._remembered.get((sentence, variant))

    def similarity(self, first: str, second: str) -> dict[str, float]:
        """Return each model's cosine of two sentences, clipped to -1..1."""
        _require_text(first, "The first sentence")
        _require_text(second, "The second sentence")
        cosines = {}
        for variant in self.variants:
            a, b = self.embed([first, second], variant)
            cosines[variant] = float(np.clip(a @ b, -1, 1))
        return cosines

    def standing(self, cosines: dict[str, float]) -> dict[str, float]:
        """Return, for each model's cosine, the share (0..1) of random pairs of demo sentences that are less alike.

        Raw cosines of two models do not compare; this share does. Empty while the demo index has no vectors for them.
        """
        shares = {}
        for variant, cosine in cosines.items():
            background = self._background(variant)
            if background is not None:
                shares[variant] = float(np.searchsorted(background, cosine) / len(background))
        return shares

    def _background(self, variant: str) -> Row | None:
        if variant not in self._backgrounds and DEMO in index_names(self._index_root):
            index = self.index(DEMO)
            recipe = self.encoder.recipe(variant)
            if recipe in index.recipes:
                self._backgrounds[variant] = index.pair_cosines(recipe)
        return self._backgrounds.get(variant)

    def index(self, name: str) -> SentenceIndex:
        """Open an index by name, once.

        Raises: InputError if there is none of that name; StorageError if it is damaged.
        """
        with self._lock:
            if name not in self._indexes:
                if name not in (known := self.index_names()):
                    raise InputError(f"There is no index {name!r}: choose one of {', '.join(known) or 'none yet'}.")
                self._indexes[name] = SentenceIndex.load(index_folder(name, self._index_root))
            return self._indexes[name]

    def index_names(self) -> list[str]:
        """Return the names of the indexes there are, the demo first."""
        return index_names(self._index_root)

    def missing_vectors(self, name: str) -> list[str]:
        """Return the models an index has no vectors of yet."""
        recipes = self.index(name).recipes
        return [variant for variant in self.variants if self.encoder.recipe(variant) not in recipes]

    def read_index(self, name: str, progress: Progress | None = None) -> SentenceIndex:
        """Give an index the vectors of every model here, in memory, if it is small enough to wait for.

        Raises: RecipeMismatch for an index of more than READ_AT_ONCE texts that was not read with these models.
        """
        index = self.index(name)
        with self._building:
            for variant in self.missing_vectors(name):
                if len(index) > READ_AT_ONCE:
                    raise RecipeMismatch(
                        f"The index {name!r} has {len(index):,} texts and no vectors of {variant} as it runs here: add "
                        f"them once with `python -m sempa index {name}` and this --base and --adapter."
                    )
                self._read_corpus(index, variant, progress)
        return index

    def _read_corpus(self, index: SentenceIndex, variant: str, progress: Progress | None) -> None:
        def said(done: int, total: int) -> None:
            if progress:
                progress(f"Reading the texts with {variant}: {done:,} of {total:,}")

        rows = self.encoder.encode(index.corpus.texts, variant, progress=said)
        index.add(self.encoder.recipe(variant), rows)

    def search(self, query: str, index: str = DEMO, k: int = 5) -> dict[str, list[RankedHit]]:
        """Return each model's k nearest texts with the rank they have under the other model."""
        _require_text(query, "The query")
        if not isinstance(k, int) or not 1 <= k <= MAX_HITS:
            raise InputError(f"k is {k!r}: choose a whole number from 1 to {MAX_HITS}.")
        opened = self.read_index(index)
        rows = {variant: self.embed([query], variant) for variant in self.variants}
        hits = {v: opened.search(self.encoder.recipe(v), rows[v], k)[0] for v in self.variants}
        return {variant: self._with_other_ranks(opened, variant, hits[variant], rows) for variant in self.variants}

    def _with_other_ranks(
        self, index: SentenceIndex, variant: str, hits: list[Hit], rows: dict[str, Row]
    ) -> list[RankedHit]:
        others = [name for name in self.variants if name != variant]
        if not others:
            return [RankedHit(hit, None) for hit in hits]
        ranks = index.ranks(self.encoder.recipe(others[0]), rows[others[0]][0], [hit.id for hit in hits])
        return [RankedHit(hit, rank) for hit, rank in zip(hits, ranks, strict=True)]

    def paraphrase(
        self, sentence: str, sampling: Sampling, template: str = "P1", stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Texts]:
        """Yield both models' paraphrases after each token."""
        _require_text(sentence, "The sentence")
        request = SentenceTemplate.paraphrase(template).render(sentence.strip())
        return write(self.pair, request, sampling, stopped=stopped)

    def answer(self, prompt: str, sampling: Sampling, stopped: Callable[[], bool] = lambda: False) -> Iterator[Texts]:
        """Yield both models' answers to a free prompt after each token."""
        _require_text(prompt, "The prompt")
        return write(self.pair, prompt.strip(), sampling, stopped=stopped)

    def sts_results(self) -> list[StsResult]:
        """Return the measured STS results that were made with this very model and adapter."""
        adapter = self.pair.adapter.sha256 if self.pair.adapter else None
        measured = read_sts_results(self._results_root)
        return [result for result in measured if (result.base_model, result.adapter) == (self.pair.info.name, adapter)]


def _require_sentences(sentences: object) -> None:
    if isinstance(sentences, str) or not isinstance(sentences, Sequence):
        raise InputError("Sentences are given as a list of texts: put a single one in brackets.")
    if len(sentences) > MAX_SENTENCES:
        raise InputError(f"There are {len(sentences)} sentences, the limit of one request is {MAX_SENTENCES}.")
    for number, sentence in enumerate(sentences, start=1):
        _require_text(sentence, f"Sentence {number}")


def _require_text(text: object, what: str) -> None:
    if not isinstance(text, str | None):
        raise InputError(f"{what} is {type(text).__name__}, not text.")
    if not text or not text.strip():
        raise InputError(f"{what} is empty: write something first.")
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{what} has {len(text):,} characters, the limit is {MAX_CHARACTERS:,}: shorten it.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{what} holds half a character (a lone surrogate): remove it.")
