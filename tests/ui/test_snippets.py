"""The code that the page offers runs as it is, against the app, and gives the tab's answer."""

import ast
import contextlib
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from sempa.errors import InputError
from sempa.models.generate import Sampling
from sempa.service.adapters import Adapters
from sempa.ui.launch import launch
from sempa.ui.snippets import snippets

A, B = """It's the "hare" & the hound's.""", "Größe 漢字 $HOME `id`"
SAMPLING = {"temperature": 0.5, "max_new_tokens": 16, "seed": 3}


@pytest.fixture(scope="module")
def page(adapters: Adapters, outside: list[str]) -> Iterator[gr.Blocks]:
    made = launch(adapters, block=False)
    yield made
    made.close(verbose=False)


def _codes(page: gr.Blocks, tab: str, adapters: Adapters, **fields: Any) -> tuple[str, str]:
    return snippets(tab, page.local_url.rstrip("/"), {"adapter": adapters.names[1], **fields})


def _python(code: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "snippet", "exec"), {})
    return said.getvalue().partition("\n")[2] if said.getvalue().startswith("Loaded") else said.getvalue()


def _curl(code: str) -> str:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout


def test_similarity(page: gr.Blocks, adapters: Adapters) -> None:
    python, curl = _codes(page, "similarity", adapters, a=A, b=B)
    expected = pytest.approx(adapters.choose(adapters.names[1]).similarity(A, B), abs=1e-6)
    assert ast.literal_eval(_python(python)) == expected
    assert json.loads(_curl(curl).partition("data: ")[2].splitlines()[0])[0] == expected


def test_search(page: gr.Blocks, adapters: Adapters) -> None:
    python, curl = _codes(page, "search", adapters, query=A, index="demo", k=2, least=0, by="dense")
    found = adapters.choose(adapters.names[1]).search(A, "demo", 2)
    expected = {name: [ranked.hit.text for ranked in hits] for name, hits in found.items()}
    for answer in (
        ast.literal_eval(_python(python)),
        json.loads(_curl(curl).partition("data: ")[2].splitlines()[0])[0],
    ):
        assert {name: [hit["text"] for hit in hits] for name, hits in answer.items()} == expected


def test_paraphrase(page: gr.Blocks, adapters: Adapters) -> None:
    python, _ = _codes(page, "paraphrase", adapters, sentence=A, n=2, template="P1", **SAMPLING)
    *_, expected = adapters.choose(adapters.names[1]).paraphrase(A, Sampling(n=2, **SAMPLING))
    assert ast.literal_eval(_python(python)) == expected


def test_meaning(page: gr.Blocks, adapters: Adapters) -> None:
    python, curl = _codes(page, "meaning", adapters, sentence=A, candidates=f"{B}\n\n The cat is ill. ")
    studio = adapters.choose(adapters.names[1])
    scores = [studio.preference(A, text) for text in (B, "The cat is ill.")]
    said = _python(python).splitlines()
    assert [line.split()[-1].strip("}") for line in said] == [str(score) for score in scores]
    answer = json.loads(_curl(curl))["results"]
    assert {one["index"]: one["relevance_score"] for one in answer} == pytest.approx(dict(enumerate(scores)), abs=1e-6)


def test_chat(page: gr.Blocks, adapters: Adapters) -> None:
    python, curl = _codes(page, "chat", adapters, prompt=A, **SAMPLING)
    answer = json.loads(_curl(curl))["choices"][0]["message"]["content"]
    assert _python(python).rstrip("\n") == answer.rstrip("\n")


def test_a_tab_without_an_endpoint_says_which_tabs_have_one() -> None:
    with pytest.raises(InputError, match="no endpoint: choose Meaning, Similarity"):
        snippets("map", "http://127.0.0.1:7860", {"adapter": "sempa"})
