"""Chat completions in OpenAI's form, complete or as a stream of chunks."""

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sempa.errors import InputError
from sempa.machine import on_gpu
from sempa.models.generate import Sampling, write
from sempa.models.prompts import request_ids
from sempa.service.limits import MAX_CONVERSATION, require_text
from sempa.service.openai_answers import Models, Steps

MAX_TOKENS = 256
"""Tokens of an answer if a request names no limit."""
MAX_STOPS, MAX_MESSAGES = 4, 256
ROLES = ("system", "user", "assistant")
Message = dict[str, str]


@dataclass(frozen=True)
class _Request:
    """A chat request, validated."""

    model: str
    messages: list[Message]
    sampling: Sampling
    stops: list[str]


@dataclass(frozen=True)
class _Written:
    """An answer so far: text, tokens computed, and why it ended ("stop" or "length"), None while it grows."""

    text: str
    tokens: int
    ended: str | None


class Chat:
    """Answer chat requests by the models of `models`."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._write = on_gpu(self._texts)

    def answer(self, asked: dict[str, Any]) -> Steps:
        """Yield after each token, and last the response object.

        Raises: UnknownModel; InputError for unusable messages or options, or what exceeds the model's context.
        """
        request = self._validated(asked)
        for step in self._grown(request):
            written = step
            yield {}
        message = {"role": "assistant", "content": written.text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": written.ended}
        yield _head(request, "chat.completion") | {"choices": [choice], "usage": self._usage(request, written.tokens)}

    def stream(self, asked: dict[str, Any]) -> Steps:
        """Yield the chunks of a response: the role, each growth of the text, the reason it ended, the usage if asked.

        A token that shows no text yet yields an empty step.

        Raises: what `answer` raises, before the first chunk.
        """
        request, options = self._validated(asked), asked.get("stream_options")
        head = _head(request, "chat.completion.chunk")
        sent, role = "", {"role": "assistant", "content": ""}
        for written in self._grown(request):
            shown = written.text if written.ended else _settled(written.text, request.stops)
            grown = shown[len(sent) :] if shown.startswith(sent) else ""
            delta = role | ({"content": grown} if grown else {})
            yield head | {"choices": [_delta(delta)]} if delta else {}
            sent, role = sent + grown, {}
        yield head | {"choices": [_delta({}, written.ended)]}
        if isinstance(options, dict) and options.get("include_usage"):
            yield head | {"choices": [], "usage": self._usage(request, written.tokens)}

    def _validated(self, asked: dict[str, Any]) -> _Request:
        self._models.choose(asked.get("model"))
        if asked.get("n") not in (None, 1):
            raise InputError(f"n is {asked['n']!r}: this endpoint writes one answer per request.")
        longest = asked.get("max_completion_tokens", asked.get("max_tokens"))
        values = {name: asked[name] for name in ("temperature", "top_p") if asked.get(name) is not None}
        seed = secrets.randbelow(2**32) if asked.get("seed") is None else asked["seed"]
        sampling = Sampling(
            max_new_tokens=MAX_TOKENS if longest is None else longest,
            seed=seed,
            **{"temperature": 1, "top_p": 1} | values,
        )
        return _Request(asked["model"], _messages(asked.get("messages")), sampling, _stops(asked.get("stop")))

    def _grown(self, request: _Request) -> Iterator[_Written]:
        """Yield the answer after each token, and last the complete one."""
        text, tokens = "", 0
        for tokens, text in enumerate(self._write(request.model, request.messages, request.sampling), start=1):
            if found := [place for stop in request.stops if (place := text.find(stop)) >= 0]:
                yield _Written(text[: min(found)], tokens, "stop")
                return
            yield _Written(text, tokens, None)
        yield _Written(text, tokens, "length" if tokens == request.sampling.max_new_tokens else "stop")

    def _texts(self, name: str, messages: list[Message], sampling: Sampling) -> Iterator[str]:
        studio, variant = self._models.choose(name)
        for texts in write(studio.pair, messages, sampling, [variant]):
            yield texts[variant][0]

    def _usage(self, request: _Request, written: int) -> dict[str, int]:
        read = len(request_ids(self._models.choose(request.model)[0].pair.tokenizer, request.messages))
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _messages(given: object) -> list[Message]:
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_MESSAGES:
        raise InputError(f"messages is not a list of 1 to {MAX_MESSAGES} messages.")
    messages = [_message(one, f"Message {number}") for number, one in enumerate(given, start=1)]
    length = sum(len(message["content"]) for message in messages)
    if length > MAX_CONVERSATION:
        raise InputError(
            f"The messages have {length:,} characters, but the limit is {MAX_CONVERSATION:,}: leave out the oldest."
        )
    return messages


def _message(given: object, what: str) -> Message:
    role = given.get("role") if isinstance(given, dict) else None
    if not isinstance(given, dict) or role not in ROLES:
        raise InputError(f"{what} has the role {role!r}: choose system, user or assistant.")
    content = given.get("content")
    if isinstance(content, list):
        parts: list[Any] = [part.get("text") if isinstance(part, dict) else None for part in content]
        if not all(isinstance(part, str) for part in parts):
            raise InputError(f"{what} has content other than text: send text only.")
        content = "".join(parts)
    require_text(content, what)
    return {"role": str(role), "content": str(content)}


def _stops(given: object) -> list[str]:
    stops = [given] if isinstance(given, str) else given or []
    if not isinstance(stops, list) or len(stops) > MAX_STOPS or not all(isinstance(s, str) and s for s in stops):
        raise InputError(f"stop is {given!r}: send a text, or a list of up to {MAX_STOPS}.")
    return stops


def _settled(text: str, stops: Sequence[str]) -> str:
    """Return a growing text without what may change or turn out to be the start of a stop text."""
    text = text.rstrip("\ufffd")
    held = max((len(start) for stop in stops if (start := _start_at_end(text, stop))), default=0)
    return text[: len(text) - held]


def _start_at_end(text: str, stop: str) -> str:
    return next((stop[:n] for n in range(len(stop) - 1, 0, -1) if text.endswith(stop[:n])), "")


def _head(request: _Request, kind: str) -> dict[str, Any]:
    made = f"chatcmpl-{secrets.token_hex(12)}"
    return {"id": made, "object": kind, "created": int(time.time()), "model": request.model}


def _delta(delta: Message, ended: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": ended}
