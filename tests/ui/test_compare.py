"""The facts that Compare shows about the two models."""

import json
import shutil
from pathlib import Path

from sempa.config import EncoderConfig, Recipe, TrainConfig
from sempa.embedding.encoder import Encoder
from sempa.files import sha256_of
from sempa.models.adapters import WEIGHTS_FILE
from sempa.models.pair import ModelPair
from sempa.service.index_store import IndexStore
from sempa.service.studio import Studio
from sempa.ui.compare import facts


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
