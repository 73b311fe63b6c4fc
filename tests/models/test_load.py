"""Precision by argument and machine; damaged or unsupported models are rejected in one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sempa.errors import InputError, ModelUnavailable
from sempa.models.load import ModelSource, read_weights
from sempa.models.precision import choose_precision


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes torch see a machine with only these capabilities."""

    def make(
        *, cuda: bool = False, gpu_bf16: bool = False, mps: bool = False, avx: bool = False, amx: bool = False
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: gpu_bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": avx, "amx_tile": amx})

    return make


@pytest.mark.parametrize(
    ("abilities", "device", "dtype"),
    [
        ({}, "cpu", torch.float32),
        ({"avx": True}, "cpu", torch.bfloat16),
        ({"amx": True}, "cpu", torch.bfloat16),
        ({"cuda": True, "gpu_bf16": True}, "cuda", torch.bfloat16),
        ({"cuda": True, "avx": True}, "cuda", torch.float16),
        ({"mps": True}, "mps", torch.float16),
    ],
    ids=str,
)
def test_auto_takes_what_the_machine_does_best(
    machine: Callable[..., None], abilities: dict[str, bool], device: str, dtype: torch.dtype
) -> None:
    machine(**abilities)
    chosen = choose_precision()
    assert (chosen.device, chosen.dtype) == (device, dtype)
    assert chosen.reason


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_named_precision_is_taken(machine: Callable[..., None], name: str) -> None:
    machine(avx=True)
    chosen = choose_precision(name, "cpu")
    assert (chosen.device, chosen.dtype) == ("cpu", getattr(torch, name))
    assert str(chosen) == f"{name} on cpu (as requested)"


def test_a_named_device_is_taken(machine: Callable[..., None]) -> None:
    machine(cuda=True, gpu_bf16=True)
    assert choose_precision("auto", "cpu").dtype == torch.float32
    assert choose_precision("auto", "cuda:1").device == "cuda:1"


@pytest.mark.parametrize(("said", "device"), [("True", "cpu"), ("False", "cuda"), ("", "cuda")])
def test_accelerate_launch_may_choose_the_cpu(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch, said: str, device: str
) -> None:
    """`--cpu` sets "True", any other launch "False"; an explicit device takes precedence."""
    machine(cuda=True, gpu_bf16=True)
    monkeypatch.setenv("ACCELERATE_USE_CPU", said)
    assert choose_precision().device == device
    assert choose_precision("auto", "cuda:1").device == "cuda:1"


@pytest.mark.parametrize(
    ("precision", "device", "message"),
    [
        ("fp16", "auto", "Precision 'fp16' is unknown: choose auto, float32, bfloat16, float16 or nf4."),
        ("", "auto", "Precision '' is unknown"),
        ("auto", "tpu", "Device 'tpu' is unknown: choose auto, cpu, cuda or mps."),
        ("auto", "cuda", "Device 'cuda' is not available on this machine: use --device auto."),
        ("auto", "mps", "Device 'mps' is not available"),
    ],
)
def test_unknown_or_absent_is_an_input_error(
    machine: Callable[..., None], precision: str, device: str, message: str
) -> None:
    machine()
    with pytest.raises(InputError) as caught:
        choose_precision(precision, device)
    assert str(caught.value).startswith(message)


def test_weights_are_read_in_the_asked_precision_and_in_evaluation_mode(model_folder: Path) -> None:
    model, tokenizer = read_weights(ModelSource("tiny", str(model_folder)), choose_precision("bfloat16", "cpu"))
    assert not model.training
    assert tokenizer("a").input_ids == [64]
    stored = load_file(model_folder / "model.safetensors")
    assert torch.equal(model.lm_head.weight, stored["lm_head.weight"].to(torch.bfloat16))


def _break(folder: Path, how: str) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = folder / "model.safetensors"
    match how:
        case "cut off":
            weights.write_bytes(weights.read_bytes()[:-5000])
        case "no weights":
            weights.unlink()
        case "pickled":
            torch.save(load_file(weights), folder / "pytorch_model.bin")
            weights.unlink()
        case "a layer short":
            config["num_hidden_layers"] += 1
        case "other shapes":
            config["hidden_size"] *= 2
        case "an image model":
            config = {"model_type": "vit"}
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
            (folder / "tokenizer_config.json").unlink()
    (folder / "config.json").write_text("{" if how == "no JSON" else json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut off", "could not be loaded: Error while deserializing"),
        ("no weights", "could not be loaded: Error no file named model.safetensors"),
        ("pickled", "could not be loaded: Error no file named model.safetensors"),
        ("a layer short", "lacks 9 of its weights; the first is model.layers.2."),
        ("other shapes", "could not be loaded"),
        ("an image model", "is not a causal language model"),
        ("no tokenizer", "could not be loaded"),
        ("no JSON", "could not be loaded: It looks like the config file"),
    ],
)
def test_a_damaged_model_is_one_sentence(model_folder: Path, tmp_path: Path, how: str, message: str) -> None:
    """The folder's name must not matter: "401" in it once read as a gated model."""
    folder = tmp_path / "gated-401-offline"
    shutil.copytree(model_folder, folder)
    _break(folder, how)
    with pytest.raises(ModelUnavailable) as caught:
        read_weights(ModelSource("tiny", str(folder)), choose_precision("float32", "cpu"))
    assert f"The model tiny {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"GGUF nonsense" * 20])
def test_a_gguf_that_is_none_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    with pytest.raises(ModelUnavailable, match="could not be loaded"):
        read_weights(ModelSource("tiny", str(tmp_path), "a.gguf"), choose_precision("float32", "cpu"))


def test_a_hub_id_without_a_network_says_so() -> None:
    with pytest.raises(ModelUnavailable, match="owner/name is not in the local cache and the hub cannot be reached"):
        read_weights(ModelSource("owner/name", "owner/name"), choose_precision("float32", "cpu"))
