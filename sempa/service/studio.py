"""What every face offers, as plain functions of text: the app, its endpoints and the command line all call this."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sempa.data.corpora import Corpus
from sempa.data.scored_pairs import read_scored_pairs
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.embedding.ranking import RankedHit, search_each
from sempa.errors import InputError, RecipeMismatch
from sempa.evaluation.candidates import Candidate, folded, judged
from sempa.evaluation.results import FRONTIER_KIND, is_of, read_results
from sempa.evaluation.sts import MeasuredPairs, measured_pairs
from sempa.evaluation.tokens import TOP, KeyToken, key_tokens
from sempa.models.generate import Sampling, Texts, write
from sempa.models.pair import BASE, ModelPair
from sempa.service.index_store import DEMO, Shelf
from sempa.service.limits import (
    MAX_CHARACTERS,
    MAX_MATRIX,
    MAX_PAIRS,
    READ_AT_ONCE,
    READ_TOGETHER,
    require_k,
    require_sentences,
    require_text,
)
from sempa.service.matrix import PairMatrix, pair_matrix
from sempa.sparse.coders import Coder, load_coders
from sempa.templates import SentenceTemplate

RESULTS_ROOT = Path(__file__).parents[2] / "results"
Progress = Callable[[str], None]


class Studio:
    """Answer for a base model and one adapter of it; safe to call from many threads."""

    def __init__(self, encoder: Encoder, shelf: Shelf | None = None, results_root: Path = RESULTS_ROOT) -> None:
        self.encoder = encoder
        self.shelf = shelf or Shelf()
        self._results_root = results_root

    @property
    def pair(self) -> ModelPair:
        """Return the resident model."""
        return self.encoder.pair

    @property
    def adapter(self) -> str:
        """Return the adapter's name, empty where the base stands alone."""
        return self.pair.adapter.name if self.pair.adapter else ""

    @property
    def variants(self) -> tuple[str, ...]:
        """Return the models there are."""
        return self.encoder.variants

    @cached_property
    def coders(self) -> dict[str, Coder]:
        """Return the sparse codes kept beside the adapter, by kind; none where there are none.

        Raises: StorageError if they are damaged.
        """
        return load_coders(self.pair)

    def embed(self, sentences: Sequence[str], variant: str = "") -> NDArray[np.float32]:
        """Return (N, D) unit rows; each sentence is read by itself, so its vector is the same in any request.

        `variant` is "base" or "sempa" (default: the best there is).
        Raises: InputError for too many, too long, empty or non-text sentences, or an unknown variant.
        """
        variant = variant or self.encoder.best_variant
        return self._embedded(sentences, [variant])[variant]

    def embed_each(self, sentences: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return every model's (N, D) unit rows, as `embed` gives them, in less time.

        Raises: what `embed` raises.
        """
        return self._embedded(sentences, self.variants)

    def _embedded(self, sentences: Sequence[str], variants: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        require_sentences(sentences)
        recipes = {variant: self.encoder.recipe(variant) for variant in variants}  # refuses an unknown one
        known = {variant: self.shelf.recall(recipe, sentences) for variant, recipe in recipes.items()}
        lacking = [variant for variant, rows in known.items() if any(text not in rows for text in sentences)]
        missing = [s for s in dict.fromkeys(sentences) if any(s not in known[variant] for variant in lacking)]
        if len(lacking) > 1:
            read = self.encoder.encode_each(missing)
        else:
            read = {variant: self.encoder.encode(missing, variant, alone=True) for variant in lacking}
        for variant, rows in read.items():
            fresh = {s: row for s, row in zip(missing, rows, strict=True) if s not in known[variant]}
            self.shelf.remember(recipes[variant], fresh)
            known[variant].update(fresh)
        shape = (len(sentences), self.encoder.width)
        return {v: np.array([rows[s] for s in sentences], np.float32).reshape(shape) for v, rows in known.items()}

    def similarity(self, first: str, second: str) -> dict[str, float]:
        """Return each model's cosine of two sentences, clipped to -1..1."""
        require_text(first, "The first sentence")
        require_text(second, "The second sentence")
        rows = self.embed_each([first, second])
        return {variant: float(np.clip(a @ b, -1, 1)) for variant, (a, b) in rows.items()}

    def percentiles(self, cosines: dict[str, float]) -> dict[str, float]:
        """Return, for each model's cosine, the share (0..1) of random pairs of demo sentences that are less alike.

        Raw cosines of two models do not compare; this share does. Empty while the demo index has no vectors for them.
        """
        shares = {}
        for variant, cosine in cosines.items():
            background = self.shelf.background(self.encoder.recipe(variant))
            if background is not None:
                shares[variant] = float(np.searchsorted(background, cosine) / len(background))
        return shares

    def matrix(self, sentences: Sequence[str], progress: Progress | None = None) -> PairMatrix:
        """Return every pair of 2 to MAX_MATRIX sentences under each model.

        Raises: InputError for too few or too many, too long or empty sentences.
        """
        if len(sentences) > MAX_MATRIX:
            raise InputError(f"There are {len(sentences)} sentences, the matrix takes {MAX_MATRIX}: leave some out.")
        parts = []
        for start in range(0, max(1, len(sentences)), READ_TOGETHER):
            if progress:
                progress(f"Reading: {start} of {len(sentences)} sentences")
            parts.append(self.embed_each(sentences[start : start + READ_TOGETHER]))
        rows = {variant: np.concatenate([part[variant] for part in parts]) for variant in self.variants}
        found = {variant: self.shelf.background(self.encoder.recipe(variant)) for variant in self.variants}
        background = {variant: values for variant, values in found.items() if values is not None}
        return pair_matrix(sentences, rows, background)

    def index(self, name: str) -> SentenceIndex:
        """Open an index by name: see `Shelf.index`."""
        return self.shelf.index(name)

    def index_names(self) -> list[str]:
        """Return the names of the indexes there are, the demo first."""
        return self.shelf.index_names()

    def missing_vectors(self, name: str) -> list[str]:
        """Return the models an index has no vectors of yet."""
        recipes = self.index(name).recipes
        return [variant for variant in self.variants if self.encoder.recipe(variant) not in recipes]

    def read_index(self, name: str, progress: Progress | None = None) -> SentenceIndex:
        """Give an index the vectors of every model here, in memory, if it is small enough to wait for.

        Raises: RecipeMismatch for an index of more than READ_AT_ONCE texts that was not read with these models.
        """
        index = self.index(name)
        if not self.missing_vectors(name):  # nobody waits for what another visitor has read
            return index
        with self.shelf.reading(name, progress):
            for variant in self.missing_vectors(name):
                if len(index) > READ_AT_ONCE:
                    raise RecipeMismatch(
                        f"The index {name!r} has {len(index):,} texts and no vectors of {variant} as it runs here: add "
                        f"them once with `python -m sempa index {name}` and this --base and --adapter."
                    )
                self._read_corpus(index, variant, progress)
        return index

    def _read_corpus(self, index: SentenceIndex, variant: str, progress: Progress | None) -> None:
        started = time.monotonic()

        def said(done: int, total: int) -> None:
            if progress:
                rate = done / max(time.monotonic() - started, 1e-6)
                progress(
                    f"Reading the texts with {variant}: {done:,} of {total:,}, {rate:.0f} a second, "
                    f"{(total - done) / rate:.0f} s left"
                )

        rows = self.encoder.encode(index.corpus.texts, variant, progress=said)
        index.add(self.encoder.recipe(variant), rows)

    def build_index(self, corpus: Corpus, progress: Progress | None = None) -> SentenceIndex:
        """Return a new index of a visitor's texts with both models' vectors; nothing is kept until it is put away.

        Raises: InputError for more than READ_AT_ONCE texts, or one that is too long.
        """
        if len(corpus.texts) > READ_AT_ONCE:
            raise InputError(
                f"There are more than {READ_AT_ONCE:,} texts, the most the page takes: build the index in the terminal "
                f"with `python -m sempa index NAME --texts FILE`."
            )
        for number, text in enumerate(corpus.texts, start=1):
            require_text(text, f"Text {number}")
        index = SentenceIndex(corpus)
        for variant in self.variants:
            self._read_corpus(index, variant, progress)
        return index

    def search(self, query: str, index: str = DEMO, k: int = 5) -> dict[str, list[RankedHit]]:
        """Return each model's k nearest texts with the rank they have under the other model."""
        require_text(query, "The query")
        require_k(k)
        opened = self.read_index(index)
        rows = self.embed_each([query])
        return search_each(opened, {variant: self.encoder.recipe(variant) for variant in rows}, rows, k)

    def how_searched(self, name: str) -> str:
        """Return in words how far an approximate search of an index can be trusted, empty where it is exact."""
        index = self.index(name)
        told = [index.approximation(self.encoder.recipe(variant)) for variant in self.variants]
        found = " and ".join(f"{how.recall:.0%}" for how in told if how)
        named = " and ".join(variant for variant, how in zip(self.variants, told, strict=True) if how)
        if not found:
            return ""
        return f"{len(index):,} texts are searched approximately: {found} of the exact ten nearest are found ({named})."

    def paraphrase(
        self, sentence: str, sampling: Sampling, template: str = "P1", stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Texts]:
        """Yield both models' paraphrases after each token."""
        require_text(sentence, "The sentence")
        request = SentenceTemplate.paraphrase(template).render(sentence.strip())
        return write(self.pair, request, sampling, stopped=stopped)

    def candidates(self, sentence: str, texts: Texts) -> dict[str, list[Candidate]]:
        """Return each model's paraphrases judged and sorted: same meaning and new words first, doubles folded.

        The judge of both models' texts is the better reader, the aligned model where there is one.
        """
        judge = self.encoder.best_variant
        found = {}
        for variant, written in texts.items():
            distinct = folded(written)
            own, *rows = self.embed([sentence.strip(), *(text[:MAX_CHARACTERS] for text in distinct)], judge)
            cosines = [float(np.clip(own @ row, -1, 1)) for row in rows]
            percentiles = [self.percentiles({judge: cosine}).get(judge) for cosine in cosines]
            found[variant] = judged(sentence, distinct, cosines, percentiles)
        return found

    def answer(self, prompt: str, sampling: Sampling, stopped: Callable[[], bool] = lambda: False) -> Iterator[Texts]:
        """Yield both models' answers to a free prompt after each token."""
        require_text(prompt, "The prompt")
        return write(self.pair, prompt.strip(), sampling, stopped=stopped)

    def key_tokens(self, sentence: str) -> dict[str, list[KeyToken]]:
        """Return, for each model, the vocabulary items the sentence's embedding points at, best first."""
        require_text(sentence, "The sentence")

        def aligned(sentences: Sequence[str], variant: str) -> list[list[tuple[str, float]]]:
            return self.encoder.aligned_tokens(sentences, variant, TOP)

        return {
            variant: key_tokens(sentence, partial(aligned, variant=variant), self.encoder.own_tokens)
            for variant in self.variants
        }

    def measure_pairs(self, path: Path, progress: Progress | None = None) -> MeasuredPairs:
        """Measure both models on a visitor's file of scored pairs: columns score, sentence1, sentence2.

        Raises: InputError for a file that is no such table, or of more than MAX_PAIRS pairs.
        """
        pairs = read_scored_pairs(path)
        if len(pairs.scores) > MAX_PAIRS:
            raise InputError(
                f"The file has {len(pairs.scores):,} pairs, the page takes {MAX_PAIRS:,}: measure it in the terminal "
                f"with `python -m sempa evaluate sts --data FILE`."
            )
        for text in (*pairs.first, *pairs.second):
            require_text(text, "A sentence of the file")

        def said(variant: str, done: int, total: int) -> None:
            if progress:
                progress(f"Reading with {variant}: {done:,} of {total:,} sentences")

        readers = {v: partial(self.encoder.encode, variant=v, progress=partial(said, v)) for v in self.variants}
        return measured_pairs(readers, pairs)

    def results(self) -> list[dict[str, Any]]:
        """Return what was measured with this very model and adapter, as read from JSON."""
        name = self.encoder.recipe(BASE).base_model
        adapter = self.pair.adapter.sha256 if self.pair.adapter else None
        return [result for result in read_results(self._results_root) if is_of(result, name, adapter)]

    def frontiers(self) -> list[dict[str, Any]]:
        """Return what was measured of sparse codes with this very adapter, as read from JSON."""
        adapter = self.pair.adapter.sha256 if self.pair.adapter else None
        found = read_results(self._results_root, [FRONTIER_KIND])
        return [result for result in found if adapter in result["adapters"].values()]
