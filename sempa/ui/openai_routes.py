"""Embeddings endpoint for OpenAI clients: works with any program that lets you set the base URL."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sempa.config import VARIANTS
from sempa.errors import InputError, SempaError
from sempa.service.adapters import Adapters
from sempa.service.guard import openai_error
from sempa.ui.events import on_gpu

MAX_WAITING, AT_ONCE = 64, 4
"""Maximum requests waiting and in progress: each takes a thread, and the page needs threads too."""
BASE, _ = VARIANTS
TOKENS = (
    "input holds token ids of another model's tokenizer: send text (in LangChain, "
    "OpenAIEmbeddings(check_embedding_ctx_length=False))."
)


def openai_routes(adapters: Adapters) -> list[Route]:
    """Return the routes POST /v1/embeddings and GET /v1/models; models are `base` and the adapters by name.

    The guard bounds their bodies and asks for the API key.
    Source: OpenAI's API reference, "Create embeddings" and "List models".
    """
    models = _Models(adapters)
    places = CapacityLimiter(AT_ONCE)
    waiting = 0

    async def list_models(request: Request) -> JSONResponse:
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "sempa"} for name in models.names]
        return JSONResponse({"object": "list", "data": listed})

    async def embeddings(request: Request) -> JSONResponse:
        nonlocal waiting
        if waiting >= MAX_WAITING:
            return _error(429, f"{MAX_WAITING} requests are waiting already: try again shortly.", "rate_limit")
        waiting += 1
        try:
            asked = await _body(request)
            return JSONResponse(await to_thread.run_sync(models.answer, asked, limiter=places))
        except _UnknownModel as error:
            return _error(404, str(error), "model_not_found")
        except SempaError as error:
            return _error(400, str(error), "invalid_request_error")
        finally:
            waiting -= 1

    return [Route("/v1/embeddings", embeddings, methods=["POST"]), Route("/v1/models", list_models, methods=["GET"])]


class _UnknownModel(InputError):
    """Raised if a request names an unknown model."""


class _Models:
    """Answer requests by model name."""

    def __init__(self, adapters: Adapters) -> None:
        self._studios = adapters
        self._embed: Callable[..., Any] = on_gpu(self._read)

    @property
    def names(self) -> list[str]:
        """Return the models available now, including adapters trained on the page."""
        return [BASE, *(name for name in self._studios.names if name)]

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the response object.

        Raises: _UnknownModel; InputError if the input is not 1 to MAX_SENTENCES texts or an option is unsupported.
        """
        name = asked.get("model")
        if name not in self.names:
            raise _UnknownModel(f"There is no model {name!r}: choose one of {', '.join(self.names)}.")
        texts = _texts(asked.get("input"))
        form = asked.get("encoding_format", "float")
        if form not in ("float", "base64"):
            raise InputError(f"encoding_format is {form!r}: choose float or base64.")
        rows, tokens = self._embed(name, texts)
        if asked.get("dimensions") not in (None, rows.shape[1]):
            raise InputError(f"dimensions is {asked['dimensions']!r}, but this model's vectors have {rows.shape[1]}.")
        shown = [_base64(row) if form == "base64" else row.tolist() for row in rows]
        return {
            "object": "list",
            "model": name,
            "data": [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(shown)],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def _read(self, name: str, texts: list[str]) -> tuple[Any, int]:
        studio = self._studios.choose("" if name == BASE else name)
        rows = studio.embed(texts, BASE if name == BASE else "")
        return rows, sum(len(studio.encoder.own_tokens(text)) for text in texts)


def _texts(given: object) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise InputError("input is missing: send a text or a list of texts.")
    if all(isinstance(text, int | list) for text in texts):
        raise InputError(TOKENS)
    return texts


def _base64(row: Any) -> str:
    return base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode("ascii")


async def _body(request: Request) -> dict[str, Any]:
    try:
        asked = json.loads(await request.body())
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise InputError("The request is not a JSON object: send model and input.")
    return asked


def _error(status: int, message: str, kind: str) -> JSONResponse:
    return JSONResponse(openai_error(message, kind), status)
