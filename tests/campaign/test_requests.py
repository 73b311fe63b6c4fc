"""Hostile requests to every route: no 5xx, no traceback, no hang, and right answers in between."""

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sempa.service.adapters import Adapters
from tests.campaign.conftest import Record, resident

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(7200)]
FULL, LOGINS = 100_000, 10_000
CHECKED_EVERY, SECONDS = 50, 30
A, B = "The hare outran the hound.", "Größe 漢字."
ENDPOINTS = ("similarity", "preference", "embed", "search", "paraphrase", "nothing", "../similarity", "")
JSON = {"content-type": "application/json"}
Draw = random.Random
Request = tuple[str, str, dict[str, Any]]


def _text(draw: Draw) -> str:
    texts = ("", " ", A, B, "\ud800", "\x00", "=1+1", "<b>x</b>", "../..", "{sentence}", "None", "x" * 6_000, "😀" * 99)
    return draw.choice(texts) + draw.choice(("", str(draw.random())))


def _value(draw: Draw, depth: int = 0) -> Any:
    plain = [None, True, 0, -1, 10**30, 1e308, float("nan"), 0.5, draw.randrange(9), _text(draw), _text(draw)]
    if depth > 3 or draw.random() < 0.7:
        return draw.choice(plain)
    parts = [_value(draw, depth + 1) for _ in range(draw.randrange(4))]
    return parts if draw.random() < 0.6 else {_text(draw): part for part in parts}


def _body(draw: Draw, asked: Any) -> bytes:
    body = json.dumps(asked).encode()
    kind = draw.random()
    if kind < 0.8:
        return body
    if kind < 0.9:
        return body[: draw.randrange(len(body) + 1)] + draw.choice((b"\xff", b"", b"]]", b"\x00"))
    return draw.choice((b"[" * draw.randrange(1, 50_000), b'{"a":' * draw.randrange(1, 9_999), body * 3))


def _call(draw: Draw) -> Request:
    asked = {"data": [_value(draw) for _ in range(draw.randrange(7))]}
    if draw.random() < 0.2:
        asked["session_hash"] = _value(draw)
    return "POST", f"gradio_api/call/{draw.choice(ENDPOINTS)}", {"content": _body(draw, asked), "headers": JSON}


def _join(draw: Draw) -> Request:
    asked = {"data": _value(draw), "fn_index": draw.choice((0, 1, 7, 40, 9_999, -1, "x", None))}
    asked |= {"session_hash": draw.choice(("a1", _text(draw))), "trigger_id": _value(draw), "event_data": _value(draw)}
    where = draw.choice(("queue/join", "run/predict", "api/predict", "cancel", "reset", "component_server"))
    return "POST", f"gradio_api/{where}", {"content": _body(draw, asked), "headers": JSON}


def _openai(draw: Draw) -> Request:
    asked = {
        "model": draw.choice(("base", "base", "none", _value(draw))),
        "input": draw.choice((A, [A, B], [_text(draw) for _ in range(draw.randrange(9))], _value(draw))),
        draw.choice(("encoding_format", "dimensions", "user")): _value(draw),
    }
    return "POST", "v1/embeddings", {"content": _body(draw, asked), "headers": JSON}


def _upload(draw: Draw) -> Request:
    disposition = draw.choice(
        ('name=""', 'name="files"', 'name="files"; filename="../x"', 'name="files"; filename="a"', "")
    )
    body = f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{draw.random()}\r\n--x--\r\n".encode()
    body = body if draw.random() < 0.7 else body[: draw.randrange(len(body))]
    kind = draw.choice(("multipart/form-data; boundary=x", "multipart/form-data; boundary=", "multipart/form-data"))
    return (
        "POST",
        f"gradio_api/upload{draw.choice(('', '?upload_id=a'))}",
        {
            "content": body,
            "headers": {"content-type": kind},
        },
    )


def _read(draw: Draw) -> Request:
    paths = (
        "config", "gradio_api/info", "v1/models", "theme.css", "robots.txt", "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../etc/passwd", "static/../../x", "assets/%2e%2e/%2e%2e/x",
        "gradio_api/call/similarity/none",
        "gradio_api/queue/data?session_hash=%FF", "gradio_api/heartbeat/%00", "?adapter=%FF&deep_link=../../x",
        "gradio_api/stream/a/b/c/playlist.m3u8", "gradio_api/proxy=http://192.0.2.1/x", "svelte/../../x",
    )  # fmt: skip
    headers = draw.choice(
        ({}, {"authorization": b"Basic \xff"}, {"host": "evil.example"}, {"origin": "null"}, {"range": "bytes=9-1"})
    )
    return draw.choice(("GET", "HEAD", "OPTIONS", "DELETE")), draw.choice(paths), {"headers": headers}


KINDS = {"calls": _call, "page events": _join, "/v1": _openai, "uploads": _upload, "reads": _read}


def test_hostile_requests_break_nothing(
    serve: Callable[..., Any],
    options: list[str],
    truth: Adapters,
    seed: int,
    sized: Callable[[int], int],
    record: Record,
) -> None:
    draw, tried, found = random.Random(seed), sized(FULL), Counter[str]()
    expected = truth.choose().embed([A, B], "base")
    with serve(*options) as app, httpx.Client(base_url=app.url, timeout=SECONDS) as client:
        begun = resident(app.process.pid)
        broken: list[str] = []
        for number in range(tried):
            kind = draw.choice(list(KINDS))
            method, path, given = KINDS[kind](draw)
            found[kind] += 1
            try:
                answer = client.request(method, path, **given)
            except httpx.TimeoutException:
                found["hangs"] += 1
                broken.append(f"{method} {path} hangs")
                continue
            except httpx.TransportError:  # refused before the body was read; a dead server would fail the next check
                found["dropped"] += 1
                continue
            if answer.status_code >= 500:
                found["5xx"] += 1
                broken.append(f"{method} {path} {given}: {answer.status_code}"[:500])
            if number % CHECKED_EVERY == 0:
                asked = {"model": "base", "input": [A, B]}
                rows = [item["embedding"] for item in client.post("v1/embeddings", json=asked).json()["data"]]
                found["wrong"] += not all(
                    row == pytest.approx(right, abs=1e-6) for row, right in zip(rows, expected, strict=True)
                )
        grown = resident(app.process.pid) - begun
        said = app.said.read_text(errors="replace")
        tracebacks = said.count("Traceback (most recent call last)")
        counts = {name: found[name] for name in ("5xx", "hangs", "wrong")}
        record("hostile requests", tried, FULL, kinds={kind: found[kind] for kind in KINDS},
               dropped=found["dropped"], **counts, tracebacks=tracebacks, grown_mib=round(grown, 1))  # fmt: skip
        print(counts, tracebacks, round(grown, 1), *broken[:20], said[-3000:], sep="\n")
        app.said.write_text("")  # judged here
    assert (counts, tracebacks) == ({"5xx": 0, "hangs": 0, "wrong": 0}, 0)


def test_passwords_are_not_guessed(
    serve: Callable[..., Any], options: list[str], seed: int, sized: Callable[[int], int], record: Record
) -> None:
    draw, tried, statuses = random.Random(seed), sized(LOGINS), Counter[int]()
    with serve(*options, "--auth", "ada:secret") as app, httpx.Client(base_url=app.url, timeout=SECONDS) as client:
        for _ in range(tried):
            guess = ("ada", str(draw.random()))
            if draw.random() < 0.5:
                answer = client.post("login", data={"username": guess[0], "password": guess[1]})
            else:
                answer = client.get("v1/models", auth=guess)
            statuses[answer.status_code] += 1
        opened = [client.get(path).status_code for path in ("config", "gradio_api/info", "gradio_api/openapi.json")]
    checked = statuses[400] + statuses[401]
    record("wrong passwords", tried, LOGINS, compared=checked, let_in=statuses[200], open_routes=opened.count(200))
    assert statuses[200] == opened.count(200) == 0
    assert set(statuses) <= {400, 401, 429}
    assert checked < max(10, tried / 20)
