"""Four-bit bases: accurate enough, trainable, distinct from full-precision ones, and rejected where unsupported."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sempa.config import EncoderConfig, TrainConfig
from sempa.data.triplets import Triplet
from sempa.errors import InputError
from sempa.models import precision
from sempa.models.combine import save_merged
from sempa.models.load import ModelSource, read_weights
from sempa.models.pair import ModelPair
from sempa.models.precision import choose_precision
from sempa.training.examples import tokenize
from sempa.training.objectives import Objective
from sempa.training.policy import PolicyModel
from sempa.training.preferences import preferences

IDS = torch.arange(40, 60).unsqueeze(0)
MASK = torch.ones_like(IDS)
TRIPLETS = [Triplet("A hare runs.", "An animal moves.", "A hare sleeps."), Triplet("It rains.", "Wet.", "It is dry.")]


@pytest.fixture
def four_bit(tmp_path: Path, save_model: Callable[..., Path]) -> tuple[ModelPair, ModelPair]:
    """Return a tiny four-bit model and a float model with the de-quantised weights."""
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    folder = save_model(tmp_path / "base", hidden_size=64, intermediate_size=128)
    packed = ModelPair.open(str(folder), precision="nf4", device="cpu")
    computes = str(packed.dtype).removeprefix("torch.")
    whole = ModelPair.open(str(folder), precision=computes, device="cpu")
    unpacked = 0
    with packed.using("base") as source, whole.using("base") as target, torch.no_grad():
        for name, module in source.named_modules():
            if isinstance(module, bitsandbytes.nn.Linear4bit):
                weight = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
                target.get_submodule(name).weight.copy_(weight)
                unpacked += 1
    assert unpacked == 2 * 7
    return whole, packed


def test_it_reads_as_what_its_four_bits_stand_for(four_bit: tuple[ModelPair, ModelPair]) -> None:
    whole, packed = (pair.hidden_states("base", IDS, MASK).float() for pair in four_bit)
    assert torch.nn.functional.cosine_similarity(whole, packed, dim=-1).min() > 0.999


def test_the_recipe_tells_four_bits_from_whole_weights(four_bit: tuple[ModelPair, ModelPair]) -> None:
    whole, packed = (pair.recipe("base", EncoderConfig()) for pair in four_bit)
    assert packed.base_model == f"{whole.base_model} in 4 bits"
    assert str(four_bit[1].info.precision).startswith("4-bit weights, ")


@pytest.mark.parametrize("objective", ["dpo", "joint"])
def test_an_adapter_learns_on_it_as_on_what_it_stands_for(
    four_bit: tuple[ModelPair, ModelPair], objective: str
) -> None:
    config = TrainConfig(objective=objective, batch_size=2)
    losses, gradients = [], []
    for pair in four_bit:
        examples, _ = tokenize(pair.tokenizer, preferences(TRIPLETS, config), 1024)
        tuning = PolicyModel(pair, config)
        losses.append(Objective(tuning, examples, config).backward(examples)["loss"])
        gradients.append(torch.cat([p.grad.flatten().float() for p in tuning.trainable.values() if p.grad is not None]))
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99


def test_it_cannot_be_merged(four_bit: tuple[ModelPair, ModelPair], tmp_path: Path) -> None:
    tuning = PolicyModel(four_bit[1], TrainConfig())
    with pytest.raises(InputError, match="Weights in four bits cannot be merged"):
        save_merged(tuning.pair, tmp_path / "merged")


def test_without_the_package_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        choose_precision("nf4", "cpu")


def test_a_gguf_is_not_packed_again(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    with pytest.raises(InputError, match="quantised already"):
        read_weights(ModelSource("tiny.gguf", str(tmp_path), "a.gguf"), choose_precision("nf4", "cpu"))
