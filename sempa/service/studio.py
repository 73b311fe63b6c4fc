"""The API behind the app, the endpoints and the command line."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sempa.config import FEATURES, SHIPPED
from sempa.data.corpora import Corpus
from sempa.data.scored_pairs import read_scored_pairs
from sempa.embedding.build import embed_corpus
from sempa.embedding.encoder import Encoder, Progress
from sempa.embedding.index import SentenceIndex
from sempa.embedding.projection import clusters
from sempa.embedding.ranking import RankedHit, search_each
from sempa.errors import InputError, RecipeMismatch
from sempa.evaluation.candidates import Candidate, folded, judged
from sempa.evaluation.results import is_of, read_results
from sempa.evaluation.sts import MeasuredPairs, measured_pairs
from sempa.evaluation.tokens import TOP, KeyToken, key_tokens
from sempa.models.generate import Sampling, Texts, write
from sempa.models.load import Report
from sempa.models.pair import BASE, ModelPair
from sempa.models.preference import preference
from sempa.service.embedding_cache import EmbeddingCache
from sempa.service.index_store import DEMO, IndexStore
from sempa.service.limits import (
    MAX_CHARACTERS,
    MAX_MATRIX,
    MAX_PAIRS,
    MAX_TEXTS,
    require_k,
    require_sentences,
    require_text,
)
from sempa.service.maps import Plane
from sempa.service.matrix import PairMatrix, pair_matrix
from sempa.service.neighbourhoods import Disagreement, disagreements
from sempa.sparse.coders import Coder, SparseEncoder, load_coders
from sempa.sparse.search import SparseHit, SparsePair, SparseSearch
from sempa.templates import SentenceTemplate

RESULTS_ROOT = SHIPPED / "results"
Rows = NDArray[np.float32]


class Studio:
    """Answer requests for a base model and one of its adapters; thread-safe."""

    def __init__(
        self,
        encoder: Encoder,
        indexes: IndexStore | None = None,
        results_root: Path = RESULTS_ROOT,
        cache: EmbeddingCache | None = None,
    ) -> None:
        """Take an encoder, and the indexes and cached vectors that all adapters of a base share."""
        self.encoder = encoder
        self.indexes = indexes or IndexStore()
        self.cache = cache or EmbeddingCache()
        self._results_root = results_root

    @property
    def pair(self) -> ModelPair:
        """Return the resident model."""
        return self.encoder.pair

    @property
    def adapter(self) -> str:
        """Return the adapter's name, empty without one."""
        return self.pair.adapter.name if self.pair.adapter else ""

    @property
    def variants(self) -> tuple[str, ...]:
        """Return the available models: "base" and, with an adapter, "sempa"."""
        return self.encoder.variants

    @cached_property
    def coders(self) -> dict[str, Coder]:
        """Return the sparse coders stored beside the adapter, by kind.

        Raises: StorageError if they are damaged.
        """
        return load_coders(self.pair)

    def embed(self, sentences: Sequence[str], variant: str = "") -> Rows:
        """Return (N, D) unit rows; a sentence has the same vector in every request.

        `variant` is "base" or "sempa" (default: "sempa" if there is an adapter).
        Raises: InputError for too many, too long, empty or non-text sentences, or an unknown variant.
        """
        variant = variant or self.encoder.best_variant
        self.encoder.recipe(variant)  # raises for an unknown variant
        return self.embed_each(sentences)[variant]

    def embed_each(self, sentences: Sequence[str]) -> dict[str, Rows]:
        """Return every model's (N, D) unit rows, as `embed` gives them.

        Raises: what `embed` raises.
        """
        require_sentences(sentences)
        return self.cache.vectors(self.encoder, sentences)

    def similarity(self, first: str, second: str) -> dict[str, float]:
        """Return each model's cosine of two sentences, clipped to -1..1."""
        require_text(first, "The first sentence")
        require_text(second, "The second sentence")
        rows = self.cache.vectors(self.encoder, [first, second])
        return {variant: float(np.clip(a @ b, -1, 1)) for variant, (a, b) in rows.items()}

    def preference(self, first: str, second: str) -> float:
        """Return the preference score of two sentences as paraphrases, aligned against base, in nats per token.

        Raises: InputError without an adapter, or for an empty or too long sentence.
        """
        require_text(first, "The first sentence")
        require_text(second, "The second sentence")
        return float(preference(self.pair, [(first, second)])[0])

    def percentiles(self, cosines: dict[str, float]) -> dict[str, float]:
        """Return the percentile (0..1) of each model's cosine among random pairs of demo sentences.

        Percentiles are comparable between models; raw cosines are not. Empty if the demo index lacks a model's vectors.
        """
        known = self.random_cosines
        return {
            v: float(np.searchsorted(known[v], cosine) / len(known[v])) for v, cosine in cosines.items() if v in known
        }

    @property
    def random_cosines(self) -> dict[str, Rows]:
        """Return each model's sorted cosines of random pairs of demo sentences, where the demo has its vectors."""
        found = {variant: self.indexes.random_cosines(recipe) for variant, recipe in self.encoder.recipes.items()}
        return {variant: cosines for variant, cosines in found.items() if cosines is not None}

    def matrix(self, sentences: Sequence[str], report: Report = lambda _: None) -> PairMatrix:
        """Compare all pairs of 2 to MAX_MATRIX sentences under each model.

        Raises: InputError for too few or too many, too long or empty sentences.
        """
        if len(sentences) > MAX_MATRIX:
            raise InputError(f"There are {len(sentences)} sentences; a matrix takes {MAX_MATRIX} at most: remove some.")
        require_sentences(sentences)
        rows = self.cache.vectors(self.encoder, sentences, _counted(report))
        return pair_matrix(sentences, rows, self.random_cosines)

    def missing_vectors(self, name: str) -> list[str]:
        """Return the models for which an index has no vectors."""
        known = self.indexes.open(name).vectors
        return [variant for variant, recipe in self.encoder.recipes.items() if recipe not in known]

    def embed_index(self, name: str, report: Report = lambda _: None) -> SentenceIndex:
        """Return an index with every model's vectors; missing ones are computed in memory.

        Raises: RecipeMismatch if vectors are missing and the index has more than MAX_TEXTS texts.
        """
        index = self.indexes.open(name)
        with index.adding(partial(report, "Another visitor is building these vectors. Waiting ...")):
            if missing := self.missing_vectors(name):
                if len(index) > MAX_TEXTS:
                    raise RecipeMismatch(
                        f"The index {name!r} ({len(index):,} texts) has no vectors of {' and '.join(missing)} as "
                        f"loaded here: add them with `sempa index {name}` and the same --base and --adapter."
                    )
                embed_corpus(index, self.encoder, _counted(report), variants=missing)
        return index

    def build_index(self, corpus: Corpus, report: Report = lambda _: None) -> SentenceIndex:
        """Return a new index of a visitor's texts with every model's vectors; `IndexStore.put` stores it.

        Raises: InputError for more than MAX_TEXTS texts, or one that is too long.
        """
        if len(corpus.texts) > MAX_TEXTS:
            raise InputError(
                f"There are more than {MAX_TEXTS:,} texts, which is the limit of the page: build the index in the "
                f"terminal with `sempa index NAME --texts FILE`."
            )
        for number, text in enumerate(corpus.texts, start=1):
            require_text(text, f"Text {number}")
        index = SentenceIndex(corpus)
        embed_corpus(index, self.encoder, _counted(report))
        return index

    def search(self, query: str, index: str = DEMO, k: int = 5) -> dict[str, list[RankedHit]]:
        """Return each model's k nearest texts with their ranks under the other model.

        Raises: InputError for an unusable query, k or index name; what `embed_index` raises.
        """
        require_text(query, "The query")
        require_k(k)
        if self.missing_vectors(index):  # do not wait for another visitor's embedding
            self.embed_index(index)
        return search_each(self.indexes.open(index), self.encoder.recipes, self.cache.vectors(self.encoder, [query]), k)

    def disagreements(self, index: str = DEMO, count: int = 10) -> list[Disagreement]:
        """Return the texts of an index whose neighbourhoods differ most between the models.

        Raises: what `embed_index` and `neighbourhoods.disagreements` raise.
        """
        return disagreements(self.embed_index(index), self.encoder.recipes, count)

    def map(self, index: str = DEMO, report: Report = lambda _: None, *, near: bool) -> dict[str, Plane]:
        """Return each model's map of an index, kept with it: principal components, or with `near` t-SNE.

        Raises: what `embed_index` and `IndexMaps.of` raise.
        """
        opened = self.embed_index(index)
        return self.indexes.maps(opened).of(opened, self.encoder.recipes, report, near=near)

    def map_known(self, index: str = DEMO) -> bool:
        """Return whether an index's t-SNE maps are computed."""
        return self.indexes.maps(self.indexes.open(index)).known(self.encoder.recipes, near=True)

    def clusters(self, index: str, count: int) -> list[int]:
        """Return the number of each text's k-means cluster under the best model."""
        rows = self.indexes.open(index).rows(self.encoder.recipes[self.encoder.best_variant])
        return [int(number) for number in clusters(rows, count)]

    def search_codes(
        self, query: str, index: str = DEMO, k: int = 5, kind: str = FEATURES
    ) -> dict[str, list[SparseHit]]:
        """Return each model's k best texts by sparse codes, with the matching parts.

        Raises: what `search` and `SparseEncoder.open` raise.
        """
        require_text(query, "The query")
        require_k(k)
        if self.missing_vectors(index):
            self.embed_index(index)
        return self._sparse(kind).search(self.indexes.open(index), query, self.cache.vectors(self.encoder, [query]), k)

    def compare_codes(self, first: str, second: str, kind: str = FEATURES) -> dict[str, SparsePair]:
        """Return the shared and unshared parts of two sentences' sparse codes under each model.

        Raises: InputError for an unusable sentence; what `SparseEncoder.open` raises.
        """
        require_text(first, "The first sentence")
        require_text(second, "The second sentence")
        return self._sparse(kind).compare(self.cache.vectors(self.encoder, [first, second]))

    def _sparse(self, kind: str) -> SparseSearch:
        return SparseSearch(SparseEncoder.open(self.encoder, kind, self.coders))

    def approximation_note(self, name: str) -> str:
        """Return a note on the recall of an index's approximate search; empty if the search is exact."""
        index = self.indexes.open(name)
        known = {variant: index.approximation(recipe) for variant, recipe in self.encoder.recipes.items()}
        recalls = {variant: found.recall for variant, found in known.items() if found}
        if not recalls:
            return ""
        found = " and ".join(f"{recall:.0%}" for recall in recalls.values())
        return (
            f"This search of {len(index):,} texts is approximate: it finds {found} of the exact ten nearest "
            f"({' and '.join(recalls)})."
        )

    def paraphrase(
        self, sentence: str, sampling: Sampling, template: str = "P1", stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Texts]:
        """Yield both models' paraphrases so far, after each token."""
        require_text(sentence, "The sentence")
        request = SentenceTemplate.paraphrase(template).render(sentence.strip())
        return write(self.pair, request, sampling, stopped=stopped)

    def candidates(self, sentence: str, texts: Texts, cut: Collection[str] = ()) -> dict[str, list[Candidate]]:
        """Return each model's distinct paraphrases, best first; texts in `cut` have no end.

        One model judges the texts of both: the aligned model if there is an adapter.
        """
        judge, sentence = self.encoder.best_variant, sentence.strip()
        distinct = {variant: folded(written) for variant, written in texts.items()}
        every = [text[:MAX_CHARACTERS] for group in distinct.values() for text in group]
        own, *rows = self.embed([sentence, *every], judge)
        cosines = [float(np.clip(own @ row, -1, 1)) for row in rows]
        percentiles = [self.percentiles({judge: cosine}).get(judge) for cosine in cosines]
        liked = preference(self.pair, [(sentence, text) for text in every]).tolist() if self.adapter else None
        found, start = {}, 0
        for variant, group in distinct.items():
            part = slice(start, start := start + len(group))
            scores = cosines[part], percentiles[part], liked and liked[part]
            found[variant] = judged(sentence, group, *scores, cut=cut)
        return found

    def answer(self, prompt: str, sampling: Sampling, stopped: Callable[[], bool] = lambda: False) -> Iterator[Texts]:
        """Yield both models' answers to a prompt so far, after each token."""
        require_text(prompt, "The prompt")
        return write(self.pair, prompt.strip(), sampling, stopped=stopped)

    def key_tokens(self, sentence: str) -> dict[str, list[KeyToken]]:
        """Return each model's aligned tokens of the sentence, best first."""
        require_text(sentence, "The sentence")

        def aligned(sentences: Sequence[str], variant: str) -> list[list[tuple[str, float]]]:
            return self.encoder.top_tokens(self.encoder.states(sentences, variant), variant, TOP)

        return {
            variant: key_tokens(sentence, partial(aligned, variant=variant), self.encoder.own_tokens)
            for variant in self.variants
        }

    def measure_pairs(self, path: Path, report: Report = lambda _: None) -> MeasuredPairs:
        """Measure both models on a visitor's file of scored pairs: columns score, sentence1, sentence2.

        Raises: InputError for a malformed file or more than MAX_PAIRS pairs.
        """
        pairs = read_scored_pairs(path)
        if len(pairs.scores) > MAX_PAIRS:
            raise InputError(
                f"The file has {len(pairs.scores):,} pairs, but the page takes at most {MAX_PAIRS:,}: measure it "
                f"in the terminal with `sempa evaluate sts --data FILE`."
            )
        for text in (*pairs.first, *pairs.second):
            require_text(text, "A sentence of the file")

        encoders = {
            variant: partial(self.encoder.encode, variant=variant, progress=_counted(report, f" with {variant}"))
            for variant in self.variants
        }
        return measured_pairs(encoders, pairs)

    def results(self) -> list[dict[str, Any]]:
        """Return the results in JSON measured with this model and adapter."""
        name = self.encoder.recipe(BASE).base_model
        adapter = self.pair.adapter.sha256 if self.pair.adapter else None
        return [result for result in read_results(self._results_root) if is_of(result, name, adapter)]


def _counted(report: Report, model: str = "") -> Progress:
    """Return a callback of (done, total) that reports count, rate and time left as text."""
    began, first = time.monotonic(), -1

    def show(done: int, total: int) -> None:
        nonlocal began, first
        if first < 0:
            began, first = time.monotonic(), done
        rate = (done - first) / max(time.monotonic() - began, 1e-6)
        left = f", {rate:.0f} per second, {(total - done) / rate:.0f} s left" if rate else ""
        report(f"Computing vectors{model}: {done:,} of {total:,}{left}")

    return show
