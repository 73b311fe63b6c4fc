"""With `SEMPA_PLAIN=1`, the libraries' own paths give the same numbers as the fast ones, and the programs run."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import Linear
from torch import nn

import train
from sempa.data.corpora import Corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.models import fast
from sempa.models.complete import complete
from sempa.models.fast.fused_lora import FusedLora
from sempa.models.fast.prepacked import PrepackedLinear
from sempa.models.generate import Sampling, write
from sempa.models.pair import ModelPair
from sempa.training.policy import PolicyModel

ROOT = Path(__file__).parents[1]
NEAR = 1e-4
"""Relative and absolute tolerance between the two paths in float32."""
TEXTS = ["A cat sleeps.", "Nobody is here at all.", "Two men play chess in the park.", "Rain.", "It is late now."] * 3
REQUEST = "Say it in other words: a cat sleeps."
Open = Callable[[bool], ModelPair]


@pytest.fixture
def opened(model_folder: Path, adapter_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Return a function that opens the pair with plain or fast paths."""

    def open_pair(plain: bool) -> ModelPair:
        monkeypatch.setenv("SEMPA_PLAIN", "1" if plain else "0")
        pair = ModelPair.open(str(model_folder), str(adapter_folder), precision="float32", device="cpu")
        return pair.for_inference()

    return open_pair


def test_no_part_of_the_libraries_is_replaced(opened: Open) -> None:
    pair = opened(True)
    assert fast.is_plain()
    with pair.using("sempa") as model:
        layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
        assert layers
        assert all("forward" not in vars(module) for module in model.modules())
        assert all(type(layer) is Linear and not layer.lora_variant for layer in layers)
        assert not any(isinstance(module, PrepackedLinear) for module in model.modules())
        assert all(type(layer.base_layer) is nn.Linear for layer in layers)
        assert model.config._attn_implementation == "sdpa"
    with pair.using("base") as model:
        assert all(layer.disable_adapters for layer in model.modules() if isinstance(layer, LoraLayer))


def test_the_fast_way_replaces_them(opened: Open) -> None:
    """Otherwise, the tests below would compare the plain path with itself."""
    pair = opened(False)
    assert not fast.is_plain()
    with pair.using("base") as model:
        assert all("forward" in vars(layer) for layer in model.modules() if isinstance(layer, LoraLayer))
        assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize("variant", ["base", "sempa"])
def test_sentences_get_the_same_vectors(opened: Open, variant: str) -> None:
    plain, quick = (Encoder(opened(way)).encode(TEXTS, variant) for way in (True, False))
    np.testing.assert_allclose(plain, quick, rtol=NEAR, atol=NEAR)


def test_both_models_at_once_give_the_same_vectors(opened: Open) -> None:
    rows = [torch.arange(40, 40 + length).unsqueeze(0) for length in (5, 9)]
    plain, quick = (list(opened(way).each_alone(rows)) for way in (True, False))
    for one, other in zip(plain, quick, strict=True):
        torch.testing.assert_close(one, other, rtol=NEAR, atol=NEAR)


def test_both_models_write_the_same_side_by_side(opened: Open) -> None:
    sampling = Sampling(n=2, temperature=0, max_new_tokens=12)
    plain, quick = (list(write(opened(way), REQUEST, sampling))[-1] for way in (True, False))
    assert plain == quick
    assert set(plain) == {"base", "sempa"}


def test_many_requests_get_the_same_answers(opened: Open) -> None:
    plain, quick = (complete(opened(way), "sempa", [REQUEST, "Hello."], 8) for way in (True, False))
    assert plain == quick


def test_search_finds_the_same(opened: Open, tmp_path: Path) -> None:
    found = []
    for way in (True, False):
        encoder = Encoder(opened(way))
        recipe = encoder.recipe("sempa")
        index = SentenceIndex(Corpus(tuple(TEXTS[:5]), ({},) * 5))
        index.add(recipe, encoder.encode(TEXTS[:5], "sempa"))
        index.save(tmp_path / str(way))
        queries = encoder.encode(["A cat is asleep."], "sempa")
        found += SentenceIndex.load(tmp_path / str(way)).search(recipe, queries, k=5)
    assert [hit.id for hit in found[0]] == [hit.id for hit in found[1]]
    assert [hit.cosine for hit in found[0]] == pytest.approx([hit.cosine for hit in found[1]], abs=NEAR)


@pytest.mark.parametrize("objective", ["dpo", "contrastive"])
def test_training_takes_the_same_steps(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    """With train.py itself: the losses of each step, and a sentence's embedding under the trained adapters."""
    data = tmp_path / "triplets.csv"
    rows = "".join(f"anchor {'x' * (i % 9)} {i},b{'y' * (i % 5)} {i},other {i}\n" for i in range(24))
    data.write_text("sent0,sent1,hard_neg\n" + rows, encoding="utf-8")
    given = {"base": model_folder, "data": data, "objective": objective, "device": "cpu", "precision": "float32"}
    options = {**given, "batch-size": 6, "max-samples": 24, "evaluate-every": 12, "lr": 0.002}
    steps, states = [], []
    for way in ("1", "0"):
        output = tmp_path / way
        flags = [str(part) for name, value in {**options, "output": output}.items() for part in (f"--{name}", value)]
        monkeypatch.setenv("SEMPA_PLAIN", way)
        assert train.main(flags) == 0
        lines = (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        steps.append([{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines])
        pair = ModelPair.open(str(model_folder), str(output), precision="float32", device="cpu")
        states.append(pair.hidden_states("sempa", torch.arange(40, 60)[None], torch.ones(1, 20, dtype=torch.int64)))
    assert len(steps[0]) == len(steps[1]) >= 4
    for plain, quick in zip(*steps, strict=True):
        assert plain == pytest.approx(quick, rel=NEAR, abs=NEAR)
    torch.testing.assert_close(*states, rtol=10 * NEAR, atol=10 * NEAR)


def test_training_fuses_no_term(make_tuning: Callable[..., PolicyModel], monkeypatch: pytest.MonkeyPatch) -> None:
    for way, fused in (("0", True), ("1", False)):
        monkeypatch.setenv("SEMPA_PLAIN", way)
        layers = [layer for layer in make_tuning().peft.modules() if isinstance(layer, LoraLayer)]
        assert any(FusedLora in layer.lora_variant.values() for layer in layers) is fused


def test_a_program_of_three_lines_reads_a_sentence(model_folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    code = (
        "from sempa import Encoder\n"
        "from sempa.models.fast import is_plain\n"
        f"encoder = Encoder.default({str(model_folder)!r}, {str(adapter_folder)!r})\n"
        "print(is_plain(), encoder.encode(['A cat sleeps.'], 'sempa').shape)\n"
    )
    environment = {**os.environ, "SEMPA_PLAIN": "1", "SEMPA_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True (1, 32)\n", done.stderr[-3000:]


def test_the_app_answers(
    serve: Callable[..., AbstractContextManager[Any]],
    model_folder: Path,
    adapter_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEMPA_PLAIN", "1")
    with serve("--base", str(model_folder), "--adapter", str(adapter_folder), "--device", "cpu") as served:
        assert urllib.request.urlopen(served.url).status == 200
