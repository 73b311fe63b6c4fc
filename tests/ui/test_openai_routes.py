"""OpenAI's own client, unpatched, pointed at the app: its vectors are the studio's, its errors are the client's."""

import base64
from collections.abc import Iterator

import gradio as gr
import httpx
import numpy as np
import openai
import pytest

from sempa.service.adapters import Adapters
from sempa.service.limits import MAX_SENTENCES
from sempa.service.studio import Studio
from sempa.ui.launch import launch

A, B = "The hare outran the hound.", "Größe 漢字."


@pytest.fixture(scope="module", params=[None, ("someone", "pass:word")], ids=["open", "auth"])
def page(request: pytest.FixtureRequest, adapters: Adapters, outside: list[str]) -> Iterator[gr.Blocks]:
    made = launch(adapters, auth=request.param, block=False)
    yield made
    made.close(verbose=False)


def _client(page: gr.Blocks, key: str = "someone:pass:word") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{page.local_url}v1", api_key=key, max_retries=0)


def test_vectors_are_the_studio_s_in_both_forms(page: gr.Blocks, adapters: Adapters) -> None:
    client = _client(page)
    for name in adapters.names:
        expected = adapters.choose(name).embed([A, B], "sempa")
        for form in ("float", "base64"):
            answer = client.embeddings.create(model=name, input=[A, B], encoding_format=form)
            rows = [item.embedding for item in answer.data]
            if form == "base64":
                rows = [np.frombuffer(base64.b64decode(row), dtype="<f4") for row in rows]
            np.testing.assert_allclose(rows, expected, atol=1e-7)
            assert [item.index for item in answer.data] == [0, 1]
            assert answer.model == name
    base = client.embeddings.create(model="base", input=A)
    np.testing.assert_allclose(base.data[0].embedding, adapters.choose().embed([A], "base")[0], atol=1e-7)


def test_tokens_used_are_those_of_the_texts(page: gr.Blocks, studio: Studio) -> None:
    usage = _client(page).embeddings.create(model="base", input=[A, B]).usage
    expected = sum(len(studio.pair.tokenizer(text, add_special_tokens=False).input_ids) for text in (A, B))
    assert usage.prompt_tokens == usage.total_tokens == expected


def test_models_are_the_base_and_the_adapters(
    page: gr.Blocks, adapters: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = _client(page)
    assert [model.id for model in client.models.list()] == ["base", *adapters.names]
    monkeypatch.setattr(Adapters, "names", ["first", "trained-on-the-page"])
    assert [model.id for model in client.models.list()] == ["base", "first", "trained-on-the-page"]


@pytest.mark.parametrize(
    ("asked", "kind", "says"),
    [
        ({"model": "gpt-9", "input": A}, openai.NotFoundError, "no model 'gpt-9': choose one of base"),
        ({"model": "base", "input": []}, openai.BadRequestError, "input is missing"),
        ({"model": "base", "input": " "}, openai.BadRequestError, "Sentence 1 is empty"),
        ({"model": "base", "input": [A] * (MAX_SENTENCES + 1)}, openai.BadRequestError, "the limit per request"),
        ({"model": "base", "input": [[1, 2], [3]]}, openai.BadRequestError, "check_embedding_ctx_length"),
        ({"model": "base", "input": [1, 2, 3]}, openai.BadRequestError, "another model's"),
        ({"model": "base", "input": A, "dimensions": 3}, openai.BadRequestError, "dimensions is 3"),
    ],
)
def test_mistakes_are_the_client_s_own_errors(page: gr.Blocks, asked: dict, kind: type, says: str) -> None:
    with pytest.raises(kind, match="(?s).*") as caught:
        _client(page).embeddings.create(**asked)
    assert says in caught.value.body["message"]


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"[" * 100_000, b'{"model": ["base"], "input": "a"}'])
def test_what_is_no_request_is_refused(page: gr.Blocks, body: bytes) -> None:
    answer = httpx.post(f"{page.local_url}v1/embeddings", content=body, auth=("someone", "pass:word"))
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["message"]


def test_a_wrong_key_opens_nothing_where_a_password_is_asked(adapters: Adapters, outside: list[str]) -> None:
    made = launch(adapters, auth=("someone", "pass:word"), block=False)
    try:
        for key in ("someone:pass", ":"):
            with pytest.raises(openai.AuthenticationError):
                _client(made, key).embeddings.create(model="base", input=A)
            with pytest.raises(openai.AuthenticationError):
                _client(made, key).models.list()
        assert httpx.post(f"{made.local_url}v1/embeddings", json={"model": "base", "input": A}).status_code == 401
    finally:
        made.close(verbose=False)
