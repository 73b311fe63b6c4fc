"""The page as programs see it: five endpoints that answer as the studio does, and nothing that leaves the machine."""

import ast
import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from sempa.data.corpora import Corpus
from sempa.embedding.ranking import hits_payload
from sempa.errors import SempaError
from sempa.models.generate import Sampling
from sempa.service.adapters import Adapters
from sempa.service.studio import Studio
from sempa.ui.launch import ICON, launch

A, B = "The hare outran the hound.", "Größe 漢字 <script>alert(1)</script>"
NAMES = ("embed", "paraphrase", "preference", "search", "similarity")


@pytest.fixture(scope="module")
def page(adapters: Adapters, outside: list[str]) -> Iterator[gr.Blocks]:
    made = launch(adapters, block=False)
    yield made
    made.close(verbose=False)


@pytest.fixture(scope="module")
def client(page: gr.Blocks) -> Client:
    return Client(page.local_url, verbose=False)


def test_five_named_endpoints_and_no_other(client: Client) -> None:
    told = client.view_api(return_format="dict", print_info=False)
    assert set(told["named_endpoints"]) == {f"/{name}" for name in NAMES}
    assert told["unnamed_endpoints"] == {}
    names = {name: [p["parameter_name"] for p in api["parameters"]] for name, api in told["named_endpoints"].items()}
    assert names == {
        "/similarity": ["sentence_a", "sentence_b", "adapter"],
        "/preference": ["sentence_a", "sentence_b", "adapter"],
        "/embed": ["sentences", "variant", "adapter"],
        "/search": ["query", "index", "k", "adapter", "codes"],
        "/paraphrase": ["sentence", "n", "temperature", "max_new_tokens", "seed", "adapter"],
    }


def test_no_event_of_the_page_is_offered_to_programs(page: gr.Blocks, client: Client) -> None:
    events = [number for number, event in page.fns.items() if event.api_name not in NAMES]
    assert len(events) > 10
    for number in events:
        with pytest.raises(ValueError, match="(?i)invalid|cannot"):
            client.predict(fn_index=number)


def test_similarity_is_the_studio_s_and_agrees_with_embed(client: Client, studio: Studio) -> None:
    cosines = client.predict(A, B, api_name="/similarity")
    assert cosines == studio.similarity(A, B)
    assert client.predict(A, B, api_name="/preference") == {"preference": pytest.approx(studio.preference(A, B))}
    for variant in ("base", "sempa"):
        rows = np.array(client.predict([A, B], variant, api_name="/embed"))
        np.testing.assert_array_equal(rows, studio.embed([A, B], variant))
        assert float(rows[0] @ rows[1]) == pytest.approx(cosines[variant], abs=1e-3)
    assert client.predict([A], api_name="/embed") == client.predict([A], "sempa", api_name="/embed")


def test_each_request_names_its_adapter(client: Client, adapters: Adapters) -> None:
    first, second = adapters.names
    answers = {name: client.predict(A, B, name, api_name="/similarity") for name in (second, first, second)}
    for name in adapters.names:
        studio = adapters.choose(name)
        assert answers[name] == studio.similarity(A, B)
        liked = client.predict(A, B, name, api_name="/preference")["preference"]
        assert liked == pytest.approx(studio.preference(A, B))
        assert client.predict([A], "sempa", name, api_name="/embed") == studio.embed([A], "sempa").tolist()
        assert client.predict(A, "demo", 2, name, api_name="/search") == hits_payload(studio.search(A, "demo", 2))
        *_, written = studio.paraphrase(A, Sampling(1, 0.0, 0.9, 9, 5))
        assert client.predict(A, 1, 0.0, 9, 5, name, api_name="/paraphrase") == written
    assert answers[first]["base"] == answers[second]["base"]
    assert answers[first]["sempa"] != answers[second]["sempa"]


def test_search_is_the_studio_s(client: Client, studio: Studio) -> None:
    found = client.predict(A, "demo", 4, api_name="/search")
    assert found == hits_payload(studio.search(A, "demo", 4))
    assert [len(hits) for hits in found.values()] == [4, 4]
    assert client.predict(query=A, api_name="/search") == hits_payload(studio.search(A))


def test_an_index_of_one_visitor_is_no_program_s(client: Client, studio: Studio) -> None:
    index = studio.build_index(Corpus(("Her own note.", "Another."), ({}, {})))
    key = studio.indexes.put(index, "notes", "ada", public=False)
    assert studio.search(A, key)  # from the page, which knows its visitor
    with pytest.raises(AppError, match="There is no index '~ada/notes': choose one of demo"):
        client.predict(A, key, api_name="/search")
    studio.indexes.delete(key, "ada")


def test_paraphrase_is_the_studio_s(client: Client, studio: Studio) -> None:
    *_, expected = studio.paraphrase(A, Sampling(2, 1.0, 0.9, 9, 5))
    assert client.predict(A, 2, 1.0, 9, 5, api_name="/paraphrase") == expected


@pytest.mark.parametrize(
    ("endpoint", "given", "says"),
    [
        ("/similarity", ("", B), "The first sentence is empty"),
        ("/similarity", (A, "x" * 100_000), "The second sentence has 100,000 characters"),
        ("/preference", (A, ""), "The second sentence is empty"),
        ("/embed", (["a", ""], "base"), "Sentence 2 is empty"),
        ("/embed", (["a", 3], "base"), "Sentence 2 is int"),
        ("/embed", ("one text", "base"), "list of texts"),
        ("/embed", (["x"] * 257, "base"), "There are 257 sentences"),
        ("/embed", (["a"], "tuned"), "There is no model 'tuned' here"),
        ("/search", (A, "../demo", 3), "There is no index '../demo': choose one of demo"),
        ("/search", (A, "demo", 0), "k is 0"),
        ("/search", (A, "demo", 101), "k is 101"),
        ("/search", (A, "demo", 2.5), "k is 2.5"),
        ("/search", (A, "demo", "3"), "k is '3'"),
        ("/paraphrase", (" ", 1, 1.0, 9, 5), "The sentence is empty"),
        ("/paraphrase", (A, 0, 1.0, 9, 5), "n is 0"),
        ("/paraphrase", (A, 9, 1.0, 9, 5), "n is 9, but this endpoint takes 8 at most"),
        ("/paraphrase", (A, 1, 1.0, 257, 5), "max_new_tokens is 257, but this endpoint takes 256 at most"),
        ("/paraphrase", (A, 1, "hot", 9, 5), "temperature is 'hot'"),
        ("/paraphrase", (A, 1, 1.0, 9, None), "seed is None"),
        ("/similarity", (A, B, "none"), "There is no adapter 'none': choose one of"),
        ("/similarity", (A, B, ["none"]), "adapter is list, not a name"),
        ("/search", (A, ["demo"], 3), "There is no index ['demo']"),
        ("/embed", ([A], {"a": 1}), "There is no model"),
        ("/paraphrase", ("x" * 2_000, 1, 1.0, 9, 5), "exceeds the model's limit of 1,024"),
    ],
)
def test_mistakes_come_back_as_one_sentence(client: Client, endpoint: str, given: tuple, says: str) -> None:
    with pytest.raises(AppError) as caught:
        client.predict(*given, api_name=endpoint)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert "Traceback" not in message
    assert client.predict(A, A, api_name="/similarity")["base"] == pytest.approx(1)  # and the page lives on


def test_a_shared_link_has_the_app_s_title_and_icon(page: gr.Blocks) -> None:
    assert '<meta property="og:title" content="SemPA Studio"' in httpx.get(page.local_url).text
    icon = httpx.get(f"{page.local_url}favicon.ico")
    assert icon.headers["content-type"].startswith("image/svg+xml")
    assert icon.text == ICON.read_text(encoding="utf-8")


def test_nothing_leaves_the_machine(client: Client, outside: list[str]) -> None:
    client.predict(A, B, api_name="/similarity")
    client.predict(A, B, api_name="/preference")
    client.predict([A], api_name="/embed")
    client.predict(A, api_name="/search")
    client.predict(A, 1, 0.0, 3, 0, api_name="/paraphrase")
    assert outside == []
    with pytest.raises(httpx.ConnectError, match="outside"):  # the guard is on
        httpx.get("http://example.com")
    assert outside == ["example.com"]
    outside.clear()


def test_the_page_is_built_with_its_worked_examples(page: gr.Blocks) -> None:
    html = httpx.get(page.local_url).text
    assert "SemPA Studio" in html
    config = httpx.get(f"{page.local_url}config").json()
    shown = {part["props"].get("elem_id"): part["props"].get("value") for part in config["components"]}
    assert shown["similarity-out"].count("sp-figure") == 2
    assert shown["search-out"].count("<li>") == 10
    assert "Adapter" in shown["evidence-known"]


def _tool(url: str, name: str, given: dict[str, Any]) -> tuple[list[str], str]:
    """Ask a page's MCP server with the reference client; return the tools it lists and one tool's answer."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def ask() -> tuple[list[str], str]:
        async with streamablehttp_client(f"{url}gradio_api/mcp/") as (read, write, _), ClientSession(read, write) as s:
            await s.initialize()
            tools = await s.list_tools()
            answer = await s.call_tool(name, given)
            return [tool.name for tool in tools.tools], answer.content[0].text

    return asyncio.run(ask())


def test_mcp_offers_exactly_the_endpoints_as_tools(adapters: Adapters, studio: Studio, outside: list[str]) -> None:
    pytest.importorskip("mcp", reason="gradio[mcp] is not installed")
    page = launch(adapters, mcp=True, block=False)
    try:
        listed = [tool["name"] for tool in httpx.get(f"{page.local_url}gradio_api/mcp/schema").json()]
        tools, answer = _tool(page.local_url, "similarity", {"sentence_a": A, "sentence_b": B})
    finally:
        page.close(verbose=False)
    assert sorted(listed) == sorted(tools) == list(NAMES)
    assert ast.literal_eval(answer) == studio.similarity(A, B)
    assert outside == []


def test_auth_asks_for_the_password(adapters: Adapters, studio: Studio, outside: list[str]) -> None:
    page = launch(adapters, auth=("ada", "secret"), block=False)
    try:
        assert httpx.get(f"{page.local_url}config").status_code == 401
        for wrong in (None, ("ada", "wrong"), ("bob", "secret")):
            with pytest.raises(Exception, match="(?i)login|auth|credential|incorrect"):
                Client(page.local_url, auth=wrong, verbose=False)
        client = Client(page.local_url, auth=("ada", "secret"), verbose=False)
        assert client.predict(A, B, api_name="/similarity") == studio.similarity(A, B)
    finally:
        page.close(verbose=False)


def test_a_port_in_use_is_said_in_one_sentence(adapters: Adapters, outside: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SempaError, match=f"Port {port} is in use: choose another with --server-port"):
            launch(adapters, server_port=port, block=False)


@pytest.mark.parametrize("port", [0, -5, 99_999])
def test_a_number_that_is_no_port_is_said_in_one_sentence(adapters: Adapters, port: int) -> None:
    with pytest.raises(SempaError, match=f"{port} is not a port"):
        launch(adapters, server_port=port, block=False)


def test_an_address_that_is_not_ours_is_said_in_one_sentence(adapters: Adapters, outside: list[str]) -> None:
    with pytest.raises(SempaError, match="192.0.2.1"):
        launch(adapters, server_name="192.0.2.1", block=False)


def test_share_without_network_still_serves_here(
    adapters: Adapters, studio: Studio, outside: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = launch(adapters, share=True, block=False)
    try:
        assert page.share_url is None
        assert "share link" in capsys.readouterr().out.lower()
        client = Client(page.local_url, verbose=False)
        assert client.predict(A, B, api_name="/similarity") == studio.similarity(A, B)
    finally:
        page.close(verbose=False)
        outside.clear()
