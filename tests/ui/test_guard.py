"""The guard in front of the app: what it refuses never reaches the app, what it lets through arrives unchanged."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sempa.service import guard
from sempa.service.adapters import Adapters
from sempa.service.guard import FREE_TRIES, MAX_BODY, MAX_DEPTH, MAX_OPEN, Guard
from sempa.service.studio import Studio
from sempa.ui.launch import launch

A, B = "The hare outran the hound.", "Größe 漢字."
AUTH = ("ada", "secret")


async def _echo(request: Request) -> JSONResponse:
    return JSONResponse({"path": request.url.path, "body": (await request.body()).decode("latin-1")})


async def _login(request: Request) -> JSONResponse:
    right = (await request.body()) == b"username=ada&password=secret"
    return JSONResponse({}, 200 if right else 400)


@pytest.fixture
def ask() -> Callable[..., Any]:
    """Return a maker of clients of an echoing app behind a guard."""

    def make(**options: Any) -> TestClient:
        methods = ["GET", "POST"]
        app = Starlette(
            routes=[Route("/login", _login, methods=methods), Route("/{path:path}", _echo, methods=methods)]
        )
        return TestClient(Guard(app, **options), base_url="http://127.0.0.1:7860")

    return make


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"session_hash": "\\ud800"}', "half a character"),
        ('{"session_hash": "ä"}'.encode(), "session_hash is invalid"),
        (b'{"session\\u005fhash": "a b"}', "session_hash is invalid"),
        (b'{"session_hash": ["a"]}', "session_hash is invalid"),
        (b'{"session_hash": ""}', "session_hash is invalid"),
        (b'{"data": ["\xff"]}', "not UTF-8 at byte 11"),
        (b'{"data": ["\\udc00"]}', "half a character"),
        (b"[" * (MAX_DEPTH + 1), "deeper than 32 levels"),
        (b'{"data": ' + b"[" * 100_000, "deeper than 32 levels"),
        (b"x" * (MAX_BODY + 1), "more than 10,240,000 bytes"),
    ],
)
def test_unreadable_bodies_are_refused(ask: Callable[..., Any], body: bytes, says: str) -> None:
    answer = ask().post("/gradio_api/queue/join", content=body)
    assert answer.status_code in (400, 413)
    assert says in answer.json()["detail"]
    assert answer.json()["error"]["message"] == answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        json.dumps({"data": [A, B, "😀", "[" * 99, '"[[' * 40], "session_hash": "a1-b_2"}).encode(),
        json.dumps({"data": [B, "😀"]}, ensure_ascii=False).encode(),
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b"[],[]," * 1_000,
    ],
)
def test_readable_bodies_arrive_unchanged(ask: Callable[..., Any], body: bytes) -> None:
    assert ask().post("/x", content=body).json()["body"] == body.decode("latin-1")


@pytest.mark.parametrize("path", ["/queue/data?session_hash=%FF", "/queue/data?session_hash=", "/heartbeat/a%20b"])
def test_session_names_in_addresses_are_plain(ask: Callable[..., Any], path: str) -> None:
    assert ask().get(path).status_code == 400
    assert ask().get("/queue/data?session_hash=4f2k").status_code == 200


def test_only_own_hosts_and_origins_are_answered(ask: Callable[..., Any]) -> None:
    client = ask(hosts=["sempa.example"])
    for host in ("127.0.0.1:7860", "localhost", "[::1]:80", "SEMPA.example"):
        assert client.get("/", headers={"host": host}).status_code == 200, host
    for host in ("evil.example", "127.0.0.1.evil.example", "sempa.example.evil", "", "[::1"):
        assert client.get("/", headers={"host": host}).status_code == 403, host
    for origin, status in (("http://localhost:3000", 200), ("https://evil.example", 403), ("null", 403), ("", 403)):
        assert client.post("/", headers={"origin": origin}).status_code == status, origin
    assert ask().get("/", headers={"host": "evil.example"}).status_code == 200


def test_keys_are_asked_for_and_may_hold_any_bytes(ask: Callable[..., Any]) -> None:
    client = ask(key="ada:secret")
    assert client.get("/v1/models", headers={"authorization": "Bearer ada:secret"}).status_code == 200
    assert client.get("/v1/models", auth=AUTH).status_code == 200
    assert client.get("/config").status_code == 200  # Gradio's to refuse
    for key in (b"Basic \xff\xfe", b"Bearer \xe4", b"Basic", b""):
        assert client.get("/v1/models", headers={b"authorization": key}).status_code == 401, key
    assert client.get("/v1/models").status_code in (401, 429)


@pytest.mark.parametrize("right", [False, True])
def test_wrong_passwords_are_slowed_down(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, right: bool) -> None:
    now = 1_000.0
    monkeypatch.setattr(guard.time, "monotonic", lambda: now)
    client = ask(key="ada:secret")

    def try_login(password: str) -> int:
        return client.post("/login", content=f"username=ada&password={password}").status_code

    for _ in range(FREE_TRIES):
        assert client.get("/v1/models", auth=("ada", "no")).status_code == 401
    assert try_login("secret") == 429
    refused = client.get("/v1/models", auth=AUTH)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    now += 1.01
    assert try_login("secret" if right else "no") == (200 if right else 400)
    assert client.get("/v1/models", auth=AUTH).status_code == (200 if right else 429)
    now += 1.01
    assert client.get("/v1/models", auth=AUTH).status_code == (200 if right else 429)  # the wait has doubled


def _scope(**changed: Any) -> dict[str, Any]:
    given = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "client": ("1.2.3.4", 5)}
    return {**given, **changed}


def test_open_requests_of_a_client_are_bounded_and_freed() -> None:
    statuses: list[int] = []

    async def attack() -> None:
        leave = asyncio.Event()

        async def streaming(scope: Any, receive: Any, send: Any) -> None:
            await leave.wait()

        async def send(message: Any) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        made = Guard(streaming)
        opened = [asyncio.create_task(made(_scope(), receive, send)) for _ in range(MAX_OPEN)]
        await asyncio.sleep(0)
        await made(_scope(), receive, send)
        assert statuses == [429]
        other = asyncio.create_task(made(_scope(client=("5.6.7.8", 9)), receive, send))
        await asyncio.sleep(0)
        leave.set()
        await asyncio.gather(other, *opened)
        await made(_scope(), receive, send)
        assert statuses == [429]
        await made(_scope(method="POST"), receive, send)  # a client that leaves while its request is read
        assert statuses == [429]

    asyncio.run(attack())


@pytest.fixture(scope="module")
def page(adapters: Adapters, outside: list[str]) -> Any:
    made = launch(adapters, block=False)
    yield made
    made.close(verbose=False)


def test_a_poisoned_session_leaves_the_queue_s_records_as_they_were(page: gr.Blocks, studio: Studio) -> None:
    bad = b'{"data": ["a", "b"], "session_hash": "\\ud800"}'
    url = f"{page.local_url}gradio_api/call/similarity"
    answer = httpx.post(url, content=bad, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    client = Client(page.local_url, verbose=False)
    for _ in range(3):
        assert client.predict(A, B, api_name="/similarity") == studio.similarity(A, B)
    assert "\ud800" not in {record["session_hash"] for record in page._queue.event_analytics.values()}


def test_what_is_kept_of_each_call_is_bounded(page: gr.Blocks) -> None:
    kept = page._queue.pending_event_ids_session
    for number in range(kept.max_size + 9):
        kept[f"a call's session {number}"] = set()
    assert len(kept) == kept.max_size == page._queue.pending_messages_per_session.max_size


def test_the_app_refuses_other_hosts_where_it_asks_for_no_login(adapters: Adapters, page: gr.Blocks) -> None:
    for header in ({"host": "evil.example"}, {"origin": "http://evil.example"}):
        assert httpx.get(f"{page.local_url}v1/models", headers=header).status_code == 403
        assert httpx.get(f"{page.local_url}config", headers=header).status_code == 403
    proxied = launch(adapters, allow_hosts=["sempa.example"], block=False)
    try:
        answer = httpx.get(f"{proxied.local_url}v1/models", headers={"host": "sempa.example"})
        assert answer.status_code == 200
    finally:
        proxied.close(verbose=False)


def test_a_part_of_an_upload_without_a_file_name_is_refused(page: gr.Blocks) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name=""\r\n\r\nhello\r\n--x--\r\n'
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{page.local_url}gradio_api/upload?upload_id=a", content=body, headers=kind)
    assert (answer.status_code, answer.json()["detail"][:22]) == (400, "A part of the upload h")


def test_guessing_the_password_of_the_app_is_slow(adapters: Adapters, outside: list[str]) -> None:
    made = launch(adapters, auth=AUTH, block=False)
    try:
        tries = [
            httpx.post(f"{made.local_url}login", data={"username": "ada", "password": str(i)}).status_code
            for i in range(FREE_TRIES + 3)
        ]
        assert tries == [400] * FREE_TRIES + [429] * 3
        assert httpx.get(f"{made.local_url}openapi.json").status_code == 404
        assert httpx.get(f"{made.local_url}gradio_api/openapi.json").status_code == 401
    finally:
        made.close(verbose=False)
