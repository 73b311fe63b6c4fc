"""OpenAI's own client and plain HTTP at the endpoints without a page: reranking, chat, streams, clients that leave."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import uvicorn
from starlette.applications import Starlette

from sempa.embedding.encoder import Encoder
from sempa.models.generate import Sampling
from sempa.models.pair import ModelPair
from sempa.models.prompts import request_ids
from sempa.service.adapters import Adapters
from sempa.service.openai_chat import _settled
from sempa.service.openai_routes import openai_routes
from sempa.service.studio import Studio

A, B, C = "The hare outran the hound.", "The hound outran the hare.", "A cat sat still."
HTTP = httpx.Client(verify=False)
ASK: list[Any] = [{"role": "user", "content": "Say something."}]


@pytest.fixture(scope="module")
def adapters(model_folder: Path, adapter_folder: Path, other_adapter: Path) -> Adapters:
    pair = ModelPair.open(str(model_folder), str(adapter_folder), precision="float32", device="cpu")
    return Adapters([Encoder(pair), Encoder(pair.with_adapter(str(other_adapter)))])


@pytest.fixture(scope="module")
def url(adapters: Adapters) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=openai_routes(adapters)), log_level="error"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0)


def _written(studio: Studio, variant: str, tokens: int) -> str:
    """Return the greedy answer as the page writes it."""
    *_, last = studio.answer(ASK[0]["content"], Sampling(temperature=0, max_new_tokens=tokens))
    return last[variant][0]


def test_chat_answers_as_the_page_does_by_model_name(client: openai.OpenAI, adapters: Adapters) -> None:
    texts = {}
    for name in ("base", *adapters.names):
        answer = client.chat.completions.create(model=name, messages=ASK, temperature=0, max_tokens=12)
        studio, variant = (adapters.choose(), "base") if name == "base" else (adapters.choose(name), "sempa")
        texts[name] = answer.choices[0].message.content
        assert texts[name] == _written(studio, variant, 12)
        assert answer.model == name
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.prompt_tokens == len(request_ids(studio.pair.tokenizer, ASK[0]["content"]))
        assert (answer.usage.completion_tokens, answer.usage.total_tokens) == (12, 12 + answer.usage.prompt_tokens)
    assert len(set(texts.values())) == 3


def test_a_stream_adds_up_to_the_answer(client: openai.OpenAI, adapters: Adapters) -> None:
    options: dict[str, Any] = {"model": "base", "messages": ASK, "temperature": 0, "max_tokens": 12}
    complete = client.chat.completions.create(**options)
    chunks = list(client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == complete.choices[0].message.content
    assert deltas[0].role == "assistant"
    assert len(deltas) > 2
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage == complete.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_seed_repeats_an_answer_and_others_differ(client: openai.OpenAI) -> None:
    def text(**options: Any) -> str:
        answer = client.chat.completions.create(model="base", messages=ASK, max_tokens=16, **options)
        return str(answer.choices[0].message.content)

    assert text(seed=5) == text(seed=5)
    assert len({text() for _ in range(5)}) > 1
    assert text(temperature=2, top_p=0, seed=1) == text(temperature=0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_text_ends_an_answer_and_is_not_part_of_it(
    client: openai.OpenAI, adapters: Adapters, stream: bool
) -> None:
    known = _written(adapters.choose(), "base", 24)
    stop = known[6:9]
    options: dict[str, Any] = {"model": "base", "messages": ASK, "temperature": 0, "max_tokens": 24, "stop": [stop]}
    answer = client.chat.completions.create(**options, stream=stream)
    if stream:
        chunks = list(answer)
        text, ended = "".join(c.choices[0].delta.content or "" for c in chunks), chunks[-1].choices[0].finish_reason
    else:
        text, ended = answer.choices[0].message.content, answer.choices[0].finish_reason
        assert answer.usage.completion_tokens < 24
    assert (text, ended) == (known[: known.find(stop)], "stop")


def test_text_that_may_begin_a_stop_text_is_held_back() -> None:
    assert _settled("some en", ["end", "nd"]) == "some "
    assert _settled("some \ufffd", []) == "some "
    assert _settled("some text", ["end"]) == "some text"


def test_a_conversation_has_the_tokens_of_the_chat_template(client: openai.OpenAI, adapters: Adapters) -> None:
    talk: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."}]},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Go on."},
    ]
    answer = client.chat.completions.create(model="base", messages=talk, max_completion_tokens=1)
    expected = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello.<|im_end|>\n"
        "<|im_start|>assistant\nHi.<|im_end|>\n<|im_start|>user\nGo on.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert answer.usage.prompt_tokens == len(expected.encode())


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"messages": []}, "messages is not a list of 1 to 256"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "Message 1 has the role 'tool'"),
        ({"messages": [{"role": "user", "content": " "}]}, "Message 1 is empty"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "send text only"),
        ({"messages": [{"role": "user", "content": "a" * 4000}] * 3}, "12,000 characters, but the limit is 10,000"),
        ({"n": 2}, "n is 2"),
        ({"max_tokens": 0}, "max_new_tokens is 0"),
        ({"temperature": 3}, "temperature is 3"),
        ({"stop": [""]}, "stop is ['']"),
        ({"messages": [{"role": "user", "content": "a" * 1200}]}, "exceeds the model's limit"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_mistakes_in_chat_are_refused_before_a_stream_starts(
    client: openai.OpenAI, asked: dict[str, Any], says: str, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "base", "messages": ASK, "stream": stream, **asked})
    assert says in caught.value.body["message"]


@pytest.mark.parametrize(
    ("path", "stream"),
    [("chat/completions", False), ("chat/completions", True), ("embeddings", False), ("rerank", False)],
)
def test_a_client_that_leaves_ends_the_computing(
    url: str, adapters: Adapters, monkeypatch: pytest.MonkeyPatch, path: str, stream: bool
) -> None:
    steps: list[float] = []
    names = {"chat/completions": "next_logits"}
    owner: Any = ModelPair if path in names else Studio
    real = getattr(owner, names.get(path, "embed"))

    def slow(*args: Any) -> Any:
        steps.append(time.monotonic())
        time.sleep(0.1)
        return real(*args)

    monkeypatch.setattr(owner, names.get(path, "embed"), slow)
    many = [f"{A} {i}" for i in range(256)]
    asked = {"model": "base", "messages": ASK, "max_tokens": 500, "stream": stream, "input": many}
    asked |= {"query": A, "documents": many}
    with suppress(httpx.TimeoutException), HTTP.stream("POST", f"{url}/{path}", json=asked, timeout=0.35) as answer:
        next(answer.iter_lines())
    time.sleep(0.3)  # the step in progress ends
    done = len(steps)
    time.sleep(0.4)
    assert len(steps) == done < 10


def test_rerank_orders_documents_by_cosine(url: str, adapters: Adapters) -> None:
    for name, variant in (("base", "base"), (adapters.names[1], "sempa")):
        asked = {"model": name, "query": A, "documents": [C, {"text": B}, A], "return_documents": True}
        answer = HTTP.post(f"{url}/rerank", json=asked).json()
        query, *rows = adapters.choose("" if name == "base" else name).embed([A, C, B, A], variant)
        cosines = np.clip(np.array(rows) @ query, -1, 1)
        assert [result["index"] for result in answer["results"]] == np.argsort(-cosines).tolist()
        for result in answer["results"]:
            assert result["relevance_score"] == pytest.approx(cosines[result["index"]], abs=1e-6)
            assert result["document"] == {"text": [C, B, A][result["index"]]}
        assert answer["usage"]["total_tokens"] == len(A + C + B + A)
    top = HTTP.post(f"{url}/rerank", json={"model": "base", "query": A, "documents": [C, B, A], "top_n": 1}).json()
    assert top["results"] == [{"index": 2, "relevance_score": pytest.approx(1)}]


def test_rerank_by_preference_has_the_studio_s_scores(url: str, adapters: Adapters) -> None:
    asked = {"model": adapters.names[0], "query": A, "documents": [C, B], "score": "preference"}
    answer = HTTP.post(f"{url}/rerank", json=asked).json()
    expected = {i: adapters.choose().preference(A, text) for i, text in enumerate([C, B])}
    found = {result["index"]: result["relevance_score"] for result in answer["results"]}
    assert found == pytest.approx(expected)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"query": ""}, "The query is empty"),
        ({"documents": []}, "documents is missing"),
        ({"documents": [{"body": A}]}, "Sentence 1 is empty"),
        ({"documents": [A] * 257}, "the limit per request is 256"),
        ({"top_n": -1}, "top_n is -1"),
        ({"score": "preference"}, "choose cosine or, with an adapter"),
    ],
)
def test_mistakes_in_rerank_are_named(url: str, asked: dict[str, Any], says: str) -> None:
    answer = HTTP.post(f"{url}/rerank", json={"model": "base", "query": A, "documents": [B], **asked})
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


@pytest.mark.slow
def test_serve_asks_for_its_key_and_imports_no_gradio(model_folder: Path, adapter_folder: Path) -> None:
    model = ["--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32"]
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "sempa",
        "serve",
        "--server-port",
        "0",
        "--api-key",
        "k",
        *model,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        limit = threading.Timer(120, process.kill)
        limit.start()
        imported: list[str] = []
        reading = threading.Thread(target=lambda: imported.extend(process.stderr))
        reading.start()
        said = process.stdout.readline()
        assert said.startswith(f"Serving base, {adapter_folder.name} at http://127.0.0.1:")
        url = said.split()[-1]
        answer = openai.OpenAI(base_url=url, api_key="k").embeddings.create(model="base", input=A)
        assert len(answer.data[0].embedding) == 32
        assert HTTP.get(f"{url}/models", headers={"authorization": "Bearer k"}).status_code == 200
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=url, api_key="another").models.list()
        process.terminate()
        reading.join(60)
        limit.cancel()
    loaded = {line.split("|")[-1].strip() for line in imported}
    assert {"starlette", "torch"} <= loaded
    assert "gradio" not in loaded


def test_serve_names_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    from sempa.cli import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--server-port", str(taken.getsockname()[1])]) == 2
    assert "choose others with --server-name, --server-port" in capsys.readouterr().err
