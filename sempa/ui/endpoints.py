"""The five API endpoints, also offered as MCP tools: typed arguments, JSON answers."""

from collections import deque
from collections.abc import Callable
from typing import Any

import gradio as gr

from sempa.embedding.ranking import hits_payload
from sempa.errors import InputError
from sempa.models.generate import Sampling
from sempa.service.adapters import Adapters
from sempa.service.index_store import DEMO
from sempa.ui.events import LANE, for_people

MOST = {"n": 8, "max_new_tokens": 256}
"""Limits of /paraphrase, as on the page: a call continues after its client disconnects."""


def add_endpoints(adapters: Adapters) -> None:
    """Add the endpoints, from /similarity to /paraphrase, to the page; it has no others."""
    for endpoint in _endpoints(adapters):
        gr.api(for_people(endpoint, shown=str), api_name=endpoint.__name__, **LANE)


def _require_short(sampling: Sampling) -> None:
    for name, most in MOST.items():
        if (value := getattr(sampling, name)) > most:
            raise InputError(f"{name} is {value}, but this endpoint takes {most} at most.")


def _endpoints(adapters: Adapters) -> list[Callable[..., Any]]:
    def similarity(sentence_a: str, sentence_b: str, adapter: str = "") -> dict[str, float]:
        """Return the cosine of two sentences under the base model and under the SemPA-aligned model.

        Args:
            sentence_a: the first sentence
            sentence_b: the second sentence
            adapter: name of the adapter (default: the first of the app)
        """
        return adapters.choose(adapter).similarity(sentence_a, sentence_b)

    def preference(sentence_a: str, sentence_b: str, adapter: str = "") -> dict[str, float]:
        """Return how much likelier two sentences are as paraphrases under the SemPA-aligned model than the base.

        The score separates the same meaning from nearly the same. It has no fixed range; above 0, the aligned model
        finds the pair likelier.

        Args:
            sentence_a: the first sentence
            sentence_b: the second sentence
            adapter: name of the adapter (default: the first of the app)
        """
        return {"preference": adapters.choose(adapter).preference(sentence_a, sentence_b)}

    def embed(sentences: list[str], variant: str = "", adapter: str = "") -> list[list[float]]:
        """Return a unit-length embedding for each sentence.

        Args:
            sentences: up to 256 sentences
            variant: "base" or "sempa" (default: sempa if the app has an adapter)
            adapter: name of the adapter (default: the first of the app)
        """
        return [[float(value) for value in row] for row in adapters.choose(adapter).embed(sentences, variant)]

    def search(
        query: str, index: str = DEMO, k: int = 5, adapter: str = "", codes: str = ""
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the k texts of an index nearest in meaning to a query, under each model.

        Args:
            query: the text to search for
            index: name of the index
            k: number of hits, 1 to 100
            adapter: name of the adapter (default: the first of the app)
            codes: "words" or "features" to search by sparse codes and see what matched (default: dense vectors)
        """
        studio = adapters.choose(adapter)
        studio.indexes.require_public(index)
        found = studio.search_codes(query, index, k, codes) if codes else studio.search(query, index, k)
        return hits_payload(found)

    def paraphrase(
        sentence: str,
        n: int = 3,
        temperature: float = 0.8,
        max_new_tokens: int = 48,
        seed: int = 0,
        adapter: str = "",
    ) -> dict[str, list[str]]:
        """Return n paraphrases of a sentence by each model.

        Args:
            sentence: the sentence to paraphrase
            n: candidates per model, 1 to 8
            temperature: 0 for the most likely words, up to 2 for more variety
            max_new_tokens: token limit of an answer, up to 256
            seed: same seed, same answers
            adapter: name of the adapter (default: the first of the app)
        """
        sampling = Sampling(n=n, temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)
        _require_short(sampling)
        return deque(adapters.choose(adapter).paraphrase(sentence, sampling), maxlen=1)[0]

    return [similarity, preference, embed, search, paraphrase]
