"""The facts that Evidence shows about the two models."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sempa.config import EncoderConfig, Recipe, TrainConfig
from sempa.embedding.encoder import Encoder
from sempa.files import sha256_of
from sempa.models.adapters import WEIGHTS_FILE
from sempa.models.named import NAMED
from sempa.models.pair import ModelPair
from sempa.service.adapters import Adapters
from sempa.service.index_store import IndexStore
from sempa.service.studio import Studio
from sempa.ui.evidence import facts
from sempa.ui.page import build_page


@pytest.mark.parametrize("chat", [True, False], ids=["with a chat format", "without"])
def test_a_base_alone_says_what_it_can_do(make_pair: Callable[..., ModelPair], make_tokenizer: Any, chat: bool) -> None:
    """The page names the commands that train and load an adapter, and that such a base only continues text."""
    page = build_page(Adapters([Encoder(make_pair(tokenizer=make_tokenizer(chat=chat)))]))
    texts = [str(part.value) for part in page.blocks.values() if isinstance(part, gr.Markdown | gr.HTML)]
    (alone,) = [text for text in texts if "No adapter is loaded" in text]
    assert "`python train.py --base tiny`" in alone
    assert "`python app.py --base tiny --adapter FOLDER`" in alone
    assert sum("no chat format" in text for text in texts) == (0 if chat else 2), "Paraphrase and Chat"


@pytest.mark.parametrize("name", NAMED)
def test_a_named_model_states_its_licence(make_pair: Callable[..., ModelPair], name: str) -> None:
    pair = make_pair()
    pair.info = replace(pair.info, name=name)
    known = dict(facts(Studio(Encoder(pair))))
    assert known["Licence"].startswith(NAMED[name].licence)
    assert NAMED[name].terms in known["Licence"]
    assert NAMED[name].published in known["Weights"]


def test_an_adapter_that_was_weakened_says_so(model_folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    weaker = tmp_path / "weaker"
    shutil.copytree(adapter_folder, weaker)
    pair = ModelPair.open(str(model_folder), str(weaker), precision="float32", device="cpu")
    studio = Studio(Encoder(pair), IndexStore(tmp_path / "index"))
    assert "scaled" not in dict(facts(studio))["Adapter"]
    (weaker / "training.json").write_text(json.dumps({"scale": 0.6}), encoding="utf-8")
    assert dict(facts(studio))["Adapter"].endswith("of the base), scaled to 60%")


def test_an_average_names_the_seeds_of_its_runs(model_folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    mean = tmp_path / "mean"
    shutil.copytree(adapter_folder, mean)
    adapter = sha256_of(mean / WEIGHTS_FILE)
    Recipe(EncoderConfig(adapter=adapter), TrainConfig(max_samples=64, seed=44)).save(mean)
    pair = ModelPair.open(str(model_folder), str(mean), precision="float32", device="cpu")
    studio = Studio(Encoder(pair), IndexStore(tmp_path / "index"))
    assert dict(facts(studio))["Training"].endswith("seed 44")
    (mean / "training.json").write_text(json.dumps({"averaged_from": [{"seed": 44}, {"seed": 42}]}), encoding="utf-8")
    assert dict(facts(studio))["Training"].endswith("weights averaged over seeds 44, 42")
