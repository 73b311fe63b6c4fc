"""Refuse hostile requests before the server sees them: foreign hosts, unreadable bodies, floods, guessed passwords."""

import base64
import hmac
import json
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Collection
from itertools import accumulate
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sempa.service.limits import MAX_CHARACTERS, MAX_SENTENCES

MAX_BODY = 8 * MAX_CHARACTERS * MAX_SENTENCES
"""Maximum bytes of a request other than an upload; JSON may write a character in 6."""
MAX_DEPTH = 32
"""Maximum nesting of JSON; the page's own requests have 8."""
MAX_OPEN = 256
"""Maximum requests of one client in progress, open streams included; a page holds two."""
FREE_TRIES, LONGEST_WAIT, KNOWN_CLIENTS = 5, 300, 10_000
"""Wrong passwords before a client must wait, the longest wait in seconds, and the clients remembered."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
KEYED = "/v1/"
"""Start of the paths that ask for the password as an API key; Gradio asks for its login on the others."""
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,128}")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class Refused(Exception):
    """Carry the answer to a refused request: status, message, OpenAI's kind of error, and seconds to wait."""

    def __init__(self, status: int, message: str, kind: str = "invalid_request_error", wait: float = 0) -> None:
        super().__init__(message)
        self.status, self.kind, self.wait = status, kind, wait

    def answer(self) -> JSONResponse:
        """Return the message in OpenAI's form, and as `detail` for Gradio's clients."""
        headers = {"retry-after": str(int(self.wait) + 1)} if self.wait else None
        return JSONResponse({**openai_error(str(self), self.kind), "detail": str(self)}, self.status, headers)


def openai_error(message: str, kind: str) -> dict[str, Any]:
    """Return an error as OpenAI's API words it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


class Guard:
    """Wrap an ASGI app.

    With `key`, paths under KEYED require it as API key, and wrong keys and logins are slowed down. With `hosts`, a
    request's Host, and its Origin if a browser sends one, must be one of them or a name of this machine.
    """

    def __init__(self, app: ASGIApp, key: str | None = None, hosts: Collection[str] | None = None) -> None:
        self._app, self._key = app, key
        self._hosts = None if hosts is None else LOOPBACK | {name.lower() for name in hosts}
        self._open: Counter[str] = Counter()
        self._tries = Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it in one sentence."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = (scope.get("client") or ("",))[0]
        self._open[client] += 1
        try:
            self._admit(scope, client)
            body = await _read(scope, receive)
            if body is not None:
                require_readable(body)
                receive = _replayed(body, receive)
            await self._app(scope, receive, self._watched(scope, client, send))
        except Refused as refusal:
            await refusal.answer()(scope, receive, send)
        except _Gone:
            pass
        except AttributeError:  # Gradio's parser, for a field beside files
            if not scope["path"].endswith("/upload"):
                raise
            nameless = Refused(400, "A part of the upload has no file name: send files only.")
            await nameless.answer()(scope, receive, send)
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def _admit(self, scope: Scope, client: str) -> None:
        headers = Headers(scope=scope)
        if self._hosts is not None:
            _require_host(headers, self._hosts)
        if self._open[client] > MAX_OPEN:
            raise Refused(429, f"{MAX_OPEN} of your requests are open already: close some.", "rate_limit")
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        require_sessions([*query.get("session_hash", ()), *re.findall(r"/heartbeat/(.*)", scope["path"])])
        if self._key is not None:
            self._require_login(scope, headers, client, self._key.encode())

    def _require_login(self, scope: Scope, headers: Headers, client: str, key: bytes) -> None:
        if not _is_login(scope) and not scope["path"].startswith(KEYED):
            return
        self._tries.require_patience(client)
        if not _is_login(scope) and hmac.compare_digest(_key(headers.get("authorization", "")), key):
            self._tries.succeeded(client)
            return
        self._tries.failed(client)  # a login counts until Gradio accepts it, so that tries at once count too
        if not _is_login(scope):
            raise Refused(401, "The API key is wrong: of an app with --auth, it is user:password.", "invalid_api_key")

    def _watched(self, scope: Scope, client: str, send: Send) -> Send:
        if self._key is None or not _is_login(scope):
            return send

        async def sends(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._tries.succeeded(client)
            await send(message)

        return sends


class Tries:
    """Count each client's wrong passwords; beyond FREE_TRIES, the wait doubles with each, up to LONGEST_WAIT."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def require_patience(self, client: str) -> None:
        """Raise Refused while a client must wait."""
        count, last = self._wrong.get(client, (0, 0.0))
        wait = last + min(2.0 ** min(count - FREE_TRIES, 30), LONGEST_WAIT) - time.monotonic()
        if count >= FREE_TRIES and wait > 0:
            raise Refused(429, f"Too many wrong passwords: wait {int(wait) + 1} seconds.", "rate_limit", wait)

    def failed(self, client: str) -> None:
        """Count a wrong password, and forget the client that has tried none for longest."""
        self._wrong[client] = (self._wrong.pop(client, (0, 0.0))[0] + 1, time.monotonic())
        if len(self._wrong) > KNOWN_CLIENTS:
            self._wrong.popitem(last=False)

    def succeeded(self, client: str) -> None:
        """Forget a client's wrong passwords."""
        self._wrong.pop(client, None)


class _Gone(Exception):
    """Raised when a client leaves while its request is read."""


def require_sessions(names: Collection[object]) -> None:
    """Raise Refused unless session names are plain ASCII: another one would break Gradio's queue for all visitors."""
    for name in names:
        if not isinstance(name, str) or not _SESSION.fullmatch(name):
            raise Refused(400, "session_hash is invalid: use up to 128 letters, digits, '-' and '_'.")


def require_readable(body: bytes) -> None:
    """Raise Refused for a body that is not UTF-8, nests too deep, or has lone surrogates or a bad session name.

    What is not JSON passes: its route refuses it.
    """
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    if max(accumulate((1 if bracket in b"[{" else -1 for bracket in brackets), initial=0)) > MAX_DEPTH:
        raise Refused(400, f"The request nests deeper than {MAX_DEPTH} levels: flatten it.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Refused(400, f"The request is not UTF-8 at byte {error.start}: encode it as UTF-8.") from None
    try:
        asked = json.loads(text)
    except ValueError:
        return
    if "\\u" in text and not _encodable(asked):
        raise Refused(400, "The request contains half a character (a lone surrogate): remove it.")
    if isinstance(asked, dict) and asked.get("session_hash") is not None:
        require_sessions([asked["session_hash"]])


def _encodable(asked: object) -> bool:
    try:
        json.dumps(asked, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _require_host(headers: Headers, hosts: Collection[str]) -> None:
    names = {"Host": f"//{headers.get('host', '')}"}
    if "origin" in headers:
        names["Origin"] = headers["origin"]
    for header, address in names.items():
        try:
            name = urlsplit(address).hostname
        except ValueError:
            name = None
        if name not in hosts:
            raise Refused(403, f"{header} is not a name of this app: start it with --allow-host NAME behind a proxy.")


def _is_login(scope: Scope) -> bool:
    return scope["method"] == "POST" and scope["path"].rstrip("/") == "/login"


def _key(header: str) -> bytes:
    kind, _, key = header.partition(" ")
    if kind.lower() != "basic":
        return key.strip().encode("latin-1")
    try:
        return base64.b64decode(key, validate=True)
    except ValueError:
        return b""


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """Return a request's body; None where there is none, or an upload, which Gradio bounds itself."""
    kind = Headers(scope=scope).get("content-type", "").lower()
    if scope["method"] in ("GET", "HEAD", "OPTIONS") or kind.startswith("multipart/form-data"):
        return None
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise Refused(413, f"The request has more than {MAX_BODY:,} bytes: send less per request.")
        more = message.get("more_body", False)
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receives() -> Message:
        return left.pop() if left else await receive()

    return receives
