"""Endpoints for OpenAI clients, under /v1, of the app and of `sempa serve`."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sempa.errors import InputError, SempaError
from sempa.service.adapters import Adapters
from sempa.service.guard import openai_error
from sempa.service.openai_answers import Models, Steps, UnknownModel
from sempa.service.openai_chat import Chat

MAX_WAITING, AT_ONCE = 64, 4
"""Maximum requests waiting and in progress: each takes a thread, and the page needs threads too."""
_DONE: dict[str, Any] = {}


def openai_routes(adapters: Adapters) -> list[Route]:
    """Return the routes of /v1: models, embeddings, rerank and chat/completions.

    The guard bounds their bodies and asks for the API key. A request computes in steps, between which others have their
    turn and a client that left ends it.
    Source: OpenAI's API reference (models, embeddings, chat); Jina's API reference (rerank).
    """
    models = Models(adapters)
    chat = Chat(models)
    places = _Places()

    async def list_models(_: Request) -> Response:
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "sempa"} for name in models.names]
        return JSONResponse({"object": "list", "data": listed})

    async def completions(request: Request) -> Response:
        asked = await _body(request)
        if not asked.get("stream"):
            return await places.last(request, chat.answer(asked))
        return await places.stream(chat.stream(asked))

    def posted(path: str, steps: Callable[[dict[str, Any]], Steps]) -> Route:
        async def answer(request: Request) -> Response:
            return await places.last(request, steps(await _body(request)))

        return _route(path, answer)

    return [
        _route("/v1/models", list_models, "GET"),
        posted("/v1/embeddings", models.embeddings),
        posted("/v1/rerank", models.rerank),
        _route("/v1/chat/completions", completions),
    ]


def _route(path: str, answer: Callable[[Request], Awaitable[Response]], method: str = "POST") -> Route:
    """Return a route that answers errors in OpenAI's form."""

    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except _Busy as error:
            return _error(429, str(error), "rate_limit")
        except UnknownModel as error:
            return _error(404, str(error), "model_not_found")
        except SempaError as error:
            return _error(400, str(error), "invalid_request_error")

    return Route(path, answered, methods=[method])


class _Busy(SempaError):
    """Raised if too many requests wait already."""


class _Places:
    """Run the steps of requests on few threads."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(AT_ONCE)
        self._waiting = 0

    async def _each(self, steps: Steps) -> AsyncGenerator[dict[str, Any], None]:
        if self._waiting >= MAX_WAITING:
            raise _Busy(f"{MAX_WAITING} requests are waiting already: try again shortly.")
        self._waiting += 1
        try:
            while (step := await to_thread.run_sync(next, steps, _DONE, limiter=self._threads)) is not _DONE:
                yield step
        finally:
            self._waiting -= 1
            steps.close()

    async def last(self, request: Request, steps: Steps) -> Response:
        """Answer with the last step, unless the client leaves before."""
        left = asyncio.create_task(_left(request))
        try:
            async with aclosing(self._each(steps)) as each:
                async for step in each:
                    if left.done():
                        return Response(status_code=499)
                    answer = step
        finally:
            left.cancel()
        return JSONResponse(answer)

    async def stream(self, steps: Steps) -> Response:
        """Answer with each step that is not empty as a server-sent event; the first, computed before, may raise."""
        each = self._each(steps)
        first = await anext(each)

        async def events() -> AsyncGenerator[str, None]:
            async with aclosing(each):
                yield f"data: {json.dumps(first)}\n\n"
                async for step in each:
                    if step:
                        yield f"data: {json.dumps(step)}\n\n"
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def _left(request: Request) -> None:
    """Return when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> dict[str, Any]:
    try:
        asked = json.loads(await request.body())
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise InputError("The request is not a JSON object.")
    return asked


def _error(status: int, message: str, kind: str) -> JSONResponse:
    return JSONResponse(openai_error(message, kind), status)
