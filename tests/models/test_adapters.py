"""Adapters on disk: saved and attached without a network, and rejected if they do not fit."""

import json
import logging
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sempa.config import EncoderConfig, Recipe
from sempa.errors import AdapterMismatch, StorageError
from sempa.files import CHECKSUMS, sha256_of
from sempa.models import adapters
from sempa.models.adapters import seal_adapter
from sempa.models.pair import ModelPair
from sempa.training.policy import PolicyModel

IDS = torch.arange(40, 60).unsqueeze(0)
MASK = torch.ones_like(IDS)
MakeTuning = Callable[..., PolicyModel]
SaveModel = Callable[..., Path]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the attempts to resolve or connect; all fail, without any offline setting."""
    attempts: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        attempts.append(arguments)
        raise OSError("no network here")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return attempts


def _open(base: Path, adapter: Path | str | None = None) -> ModelPair:
    return ModelPair.open(str(base), None if adapter is None else str(adapter), precision="float32", device="cpu")


def _changed(adapter: Path, to: Path, **config: object) -> Path:
    """Copy an adapter with some fields of its configuration changed."""
    shutil.copytree(adapter, to)
    (to / CHECKSUMS).unlink()
    stored = json.loads((to / "adapter_config.json").read_text(encoding="utf-8"))
    (to / "adapter_config.json").write_text(json.dumps({**stored, **config}), encoding="utf-8")
    return to


def test_saved_and_attached_gives_the_same_states(model_folder: Path, make_tuning: MakeTuning, tmp_path: Path) -> None:
    tuning = make_tuning(_open(model_folder))
    sha256 = tuning.save(tmp_path / "adapter")
    opened = _open(model_folder, tmp_path / "adapter")
    for variant in ("base", "sempa"):
        assert torch.equal(opened.hidden_states(variant, IDS, MASK), tuning.pair.hidden_states(variant, IDS, MASK))
    assert opened.adapter is not None
    assert opened.adapter.sha256 == sha256 == sha256_of(tmp_path / "adapter" / "adapter_model.safetensors")


def test_saved_folder_is_plain_peft(adapter_folder: Path, model_folder: Path) -> None:
    names = {file.name for file in adapter_folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= names
    assert all(file.is_file() for file in adapter_folder.iterdir())
    assert len({file.stat().st_mode for file in adapter_folder.iterdir()}) == 1, "all may be read alike"
    config = json.loads((adapter_folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 8, 32)
    assert config["base_model_name_or_path"] == str(model_folder)
    with safe_open(adapter_folder / "adapter_model.safetensors", "pt") as weights:
        assert len(weights.keys()) == 2 * 7 * 2  # A and B of seven linear layers in each of two blocks
        assert not any("lm_head" in name or "embed" in name for name in weights.keys())  # noqa: SIM118


def test_saving_and_attaching_open_no_connection(
    model_folder: Path, make_tuning: MakeTuning, tmp_path: Path, connections: list[object]
) -> None:
    """By default, PEFT asks the hub for the base's vocabulary."""
    pair = _open(model_folder)
    pair.info = replace(pair.info, name="owner/a-model-on-the-hub")
    make_tuning(pair).save(tmp_path / "adapter")
    assert _open(model_folder, tmp_path / "adapter").variants == ("base", "sempa")
    assert connections == []


def test_a_fresh_adapter_changes_nothing_and_is_float32(tiny_pair: ModelPair, make_tuning: MakeTuning) -> None:
    before = tiny_pair.hidden_states("base", IDS, MASK)
    tuning = make_tuning(tiny_pair, spread=0.0)
    assert torch.equal(tuning.pair.hidden_states("sempa", IDS, MASK), before)
    assert {p.dtype for p in tuning.trainable.values()} == {torch.float32}
    assert {n for n, p in tuning.peft.named_parameters() if p.requires_grad} == set(tuning.trainable)


@pytest.mark.parametrize(
    "other",
    [
        {"hidden_size": 48},
        {"intermediate_size": 64},
        {"num_hidden_layers": 4},
        {"num_hidden_layers": 2},
        {"architecture": "gpt2"},
    ],
    ids=["wider base", "wider in the middle", "deeper base", "shallower base", "other layer names"],
)
def test_an_adapter_of_another_base_is_refused_naming_both(
    save_model: SaveModel, make_tuning: MakeTuning, tmp_path: Path, other: dict[str, object]
) -> None:
    """Three layers, because from 20 targets on, PEFT shortens their names to those that every layer has."""
    own = save_model(tmp_path / "own", num_hidden_layers=3)
    make_tuning(_open(own)).save(tmp_path / "adapter")
    base = save_model(tmp_path / "other", **{"num_hidden_layers": 3, **other})
    with pytest.raises(AdapterMismatch) as caught:
        _open(base, tmp_path / "adapter")
    for named in (own, base, tmp_path / "adapter"):
        assert str(named) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gpt2_adapter_on_a_llama_is_refused_naming_both(
    save_model: SaveModel, model_folder: Path, make_tuning: MakeTuning, tmp_path: Path
) -> None:
    gpt2 = save_model(tmp_path / "gpt2", architecture="gpt2")
    make_tuning(_open(gpt2)).save(tmp_path / "adapter")
    with pytest.raises(AdapterMismatch) as caught:
        _open(model_folder, tmp_path / "adapter")
    assert str(gpt2) in str(caught.value)
    assert str(model_folder) in str(caught.value)


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_named(model_folder: Path, adapter_folder: Path, tmp_path: Path, missing: str) -> None:
    folder = _changed(adapter_folder, tmp_path / "adapter")
    (folder / missing).unlink()
    with pytest.raises(StorageError, match=f"has no {missing}"):
        _open(model_folder, folder)


def test_a_missing_folder_is_named(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere does not exist"):
        _open(model_folder, tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_broken_configuration_is_a_storage_error(
    model_folder: Path, adapter_folder: Path, tmp_path: Path, text: str
) -> None:
    folder = _changed(adapter_folder, tmp_path / "adapter")
    (folder / "adapter_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(StorageError, match="is not a PEFT configuration"):
        _open(model_folder, folder)


def test_cut_off_weights_are_refused(model_folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    folder = _changed(adapter_folder, tmp_path / "adapter")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(StorageError, match="adapter_model.safetensors is damaged or cut off"):
        _open(model_folder, folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "sempa.json"])
def test_a_changed_bit_of_a_saved_adapter_is_refused_by_file(
    model_folder: Path, adapter_folder: Path, tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(adapter_folder, tmp_path / "adapter")
    Recipe(EncoderConfig()).save(folder)
    seal_adapter(folder)
    _open(model_folder, folder)
    data = bytearray((folder / name).read_bytes())
    data[-20] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(StorageError, match=f"{name} is not the file that SHA256SUMS names"):
        _open(model_folder, folder)


def test_other_weights_than_the_recipe_names_are_refused(
    model_folder: Path, adapter_folder: Path, tmp_path: Path
) -> None:
    folder = _changed(adapter_folder, tmp_path / "adapter")
    Recipe(EncoderConfig(adapter="0" * 64)).save(folder)
    with pytest.raises(StorageError, match="is not the file that sempa.json names"):
        _open(model_folder, folder)


def test_an_unknown_kind_of_adapter_is_named(model_folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    folder = _changed(adapter_folder, tmp_path / "adapter", peft_type="MAGIC")
    with pytest.raises(StorageError, match="peft_type 'MAGIC' is unknown"):
        _open(model_folder, folder)


def test_checksums_are_those_of_sha256sum(adapter_folder: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", CHECKSUMS], cwd=adapter_folder, check=True)


def test_another_name_of_the_base_is_only_a_warning(
    model_folder: Path, adapter_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _changed(adapter_folder, tmp_path / "adapter", base_model_name_or_path="owner/same-weights")
    with caplog.at_level(logging.WARNING, "sempa.models.adapters"):
        renamed = _open(model_folder, folder)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "owner/same-weights" in caplog.text
    assert str(model_folder) in caplog.text
    same = _open(model_folder, adapter_folder)
    assert torch.equal(renamed.hidden_states("sempa", IDS, MASK), same.hidden_states("sempa", IDS, MASK))


def test_the_same_name_gives_no_warning(
    model_folder: Path, adapter_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _open(model_folder, adapter_folder)
    assert caplog.records == []


def test_an_attached_adapter_brings_its_recipe_and_hash(
    model_folder: Path, adapter_folder: Path, tmp_path: Path
) -> None:
    folder = _changed(adapter_folder, tmp_path / "adapter")
    Recipe(EncoderConfig(template="cot", layer=-2)).save(folder)
    pair = _open(model_folder, folder)
    assert pair.adapter is not None
    assert pair.adapter.recipe == Recipe(EncoderConfig(template="cot", layer=-2))
    asked = pair.recipe("sempa", EncoderConfig(template="cot", layer=-2))
    assert (asked.adapter, asked.template, asked.layer) == (sha256_of(folder / "adapter_model.safetensors"), "cot", -2)
    assert pair.recipe("base", EncoderConfig()).adapter is None


def test_weights_on_disk_are_those_in_memory(adapter_folder: Path, tuned_pair: ModelPair) -> None:
    stored = load_file(adapter_folder / "adapter_model.safetensors")
    with tuned_pair.using("sempa") as model:
        held = {name.replace(".sempa.", "."): p for name, p in model.named_parameters() if "lora_" in name}
    assert len(held) == len(stored)
    for name, weight in stored.items():
        assert torch.equal(held[name.removeprefix("base_model.model.")], weight)


@pytest.mark.parametrize("name", ["sempa", "adapters/sempa"])
def test_a_shipped_name_is_no_folder_of_something_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a checkout, the package itself is a folder called sempa."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    assert adapters.adapter_folder(name) == adapters.SHIPPED_ADAPTERS / "sempa"


def test_a_trained_adapter_of_a_shipped_name_is_itself(
    adapter_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(adapter_folder, "sempa")
    assert adapters.adapter_folder("sempa") == Path("sempa")
