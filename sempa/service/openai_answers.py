"""Embeddings and reranking by model name, in the form of OpenAI's and Jina's APIs."""

import base64
from collections.abc import Generator
from typing import Any

import numpy as np

from sempa.config import VARIANTS
from sempa.errors import InputError
from sempa.machine import on_gpu
from sempa.service.adapters import Adapters
from sempa.service.limits import require_sentences, require_text
from sempa.service.studio import Studio

Steps = Generator[dict[str, Any], None, None]
BASE, SEMPA = VARIANTS
PART = 16
"""Texts computed in one step."""
TOKENS = (
    "input holds token ids of another model's tokenizer: send text (in LangChain, "
    "OpenAIEmbeddings(check_embedding_ctx_length=False))."
)


class UnknownModel(InputError):
    """Raised if a request names an unknown model."""


class Models:
    """Answer requests by model name: `base` and the adapters."""

    def __init__(self, adapters: Adapters) -> None:
        self._adapters = adapters
        self._embed = on_gpu(self._vectors)
        self._prefer = on_gpu(self._preferences)

    @property
    def names(self) -> list[str]:
        """Return the models available now, including adapters trained on the page."""
        return [BASE, *(name for name in self._adapters.names if name)]

    def choose(self, name: object) -> tuple[Studio, str]:
        """Return the studio and the variant of a model.

        Raises: UnknownModel.
        """
        if name not in self.names:
            raise UnknownModel(f"There is no model {name!r}: choose one of {', '.join(self.names)}.")
        return (self._adapters.choose(), BASE) if name == BASE else (self._adapters.choose(str(name)), SEMPA)

    def embeddings(self, asked: dict[str, Any]) -> Steps:
        """Yield after each step, and last the response object.

        Raises: UnknownModel; InputError if the input is not 1 to MAX_SENTENCES texts or an option is unsupported.
        """
        studio, _ = self.choose(asked.get("model"))
        texts = _texts(asked.get("input"))
        form = asked.get("encoding_format", "float")
        if form not in ("float", "base64"):
            raise InputError(f"encoding_format is {form!r}: choose float or base64.")
        if asked.get("dimensions") not in (None, width := studio.encoder.width):
            raise InputError(f"dimensions is {asked['dimensions']!r}, but this model's vectors have {width}.")
        rows = []
        for start in range(0, len(texts), PART):
            rows.extend(self._embed(asked["model"], texts[start : start + PART]))
            yield {}
        shown = [_base64(row) if form == "base64" else row.tolist() for row in rows]
        yield {
            "object": "list",
            "model": asked["model"],
            "data": [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(shown)],
            "usage": _usage(studio, texts),
        }

    def rerank(self, asked: dict[str, Any]) -> Steps:
        """Yield after each step, and last the response object: documents by relevance to a query, best first.

        `score` chooses cosine (default) or preference, which needs an adapter.
        Raises: UnknownModel; InputError for an unusable query, documents or option.
        """
        studio, _ = self.choose(asked.get("model"))
        query, texts = asked.get("query"), _documents(asked.get("documents"))
        require_text(query, "The query")
        top, score = asked.get("top_n") or len(texts), asked.get("score", "cosine")
        if type(top) is not int or top < 1:
            raise InputError(f"top_n is {top!r}: choose a whole number from 1.")
        if score not in ("cosine", "preference") or (score == "preference" and asked["model"] == BASE):
            raise InputError(f"score is {score!r}: choose cosine or, with an adapter as the model, preference.")
        scores: list[float] = []
        compute = self._prefer if score == "preference" else self._cosines
        for start in range(0, len(texts), PART):
            scores.extend(compute(asked["model"], str(query), texts[start : start + PART]))
            yield {}
        best = sorted(range(len(texts)), key=lambda i: -scores[i])[:top]
        shown = [{"document": {"text": texts[i]}} if asked.get("return_documents") else {} for i in best]
        yield {
            "object": "list",
            "model": asked["model"],
            "results": [
                {"index": i, "relevance_score": scores[i], **more} for i, more in zip(best, shown, strict=True)
            ],
            "usage": _usage(studio, [str(query), *texts]),
        }

    def _vectors(self, name: str, texts: list[str]) -> Any:
        studio, variant = self.choose(name)
        return studio.embed(texts, variant)

    def _cosines(self, name: str, query: str, texts: list[str]) -> list[float]:
        first, *rows = self._embed(name, [query, *texts])
        return [float(np.clip(first @ row, -1, 1)) for row in rows]

    def _preferences(self, name: str, query: str, texts: list[str]) -> list[float]:
        return [self.choose(name)[0].preference(query, text) for text in texts]


def _usage(studio: Studio, texts: list[str]) -> dict[str, int]:
    tokens = sum(len(studio.encoder.own_tokens(text)) for text in texts)
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def _texts(given: object) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise InputError("input is missing: send a text or a list of texts.")
    if all(isinstance(text, int | list) for text in texts):
        raise InputError(TOKENS)
    require_sentences(texts)
    return texts


def _documents(given: object) -> list[str]:
    if not isinstance(given, list) or not given:
        raise InputError("documents is missing: send a list of texts.")
    texts: list[Any] = [text.get("text") if isinstance(text, dict) else text for text in given]
    require_sentences(texts)
    return texts


def _base64(row: Any) -> str:
    return base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode("ascii")
