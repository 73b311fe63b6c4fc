"""Scaled and averaged adapters against weights changed by hand."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from sempa.config import EncoderConfig, Recipe
from sempa.errors import InputError, StorageError
from sempa.files import CHECKSUMS, sha256_of
from sempa.models.combine import write_average, write_scaled
from sempa.models.pair import ModelPair
from sempa.training.derived import scaled

IDS = torch.arange(40, 60).unsqueeze(0)
MASK = torch.ones_like(IDS)


def _by_hand(base: Path, moves: dict[Path, float]) -> torch.Tensor:
    """Return the last states of a base after adding share * alpha / r * B A of every adapter to its weights."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    with torch.no_grad():
        for adapter, share in moves.items():
            for name, delta in _deltas(adapter).items():
                model.get_submodule(name).weight += share * delta
        return model(IDS, output_hidden_states=True).hidden_states[-1]


def _deltas(adapter: Path) -> dict[str, torch.Tensor]:
    """Return an adapter's delta to each weight, by module name in the base."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    weights = load_file(adapter / "adapter_model.safetensors")
    scale = config["lora_alpha"] / config["r"]
    found = {}
    for name, a in weights.items():
        if ".lora_A." in name:
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            found[module] = scale * weights[name.replace("_A", "_B")] @ a
    assert len(found) == len(weights) // 2
    return found


def _another(adapter: Path, folder: Path) -> Path:
    """Write an adapter for the same layers with random weights, half the rank and another scale."""
    shutil.copytree(adapter, folder)
    (folder / CHECKSUMS).unlink()
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    rank = config["r"] // 2
    generator = torch.Generator().manual_seed(5)
    weights = {
        name: 0.2 * torch.randn(*((rank, w.shape[1]) if "lora_A" in name else (w.shape[0], rank)), generator=generator)
        for name, w in load_file(folder / "adapter_model.safetensors").items()
    }
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    changed = {**config, "r": rank, "lora_alpha": 3 * rank}
    (folder / "adapter_config.json").write_text(json.dumps(changed), encoding="utf-8")
    return folder


@pytest.mark.parametrize("scale", [0.25, 1.0, 1.5])
def test_every_weight_lies_on_the_line_from_base_to_adapter(
    model_folder: Path, adapter_folder: Path, tmp_path: Path, scale: float
) -> None:
    assert write_scaled(str(adapter_folder), tmp_path / "weaker", scale) == adapter_folder
    pair = ModelPair.open(str(model_folder), str(tmp_path / "weaker"), precision="float32", device="cpu")
    expected = _by_hand(model_folder, {adapter_folder: scale})
    torch.testing.assert_close(pair.hidden_states("sempa", IDS, MASK), expected, rtol=1e-4, atol=1e-5)
    assert (expected - _by_hand(model_folder, {adapter_folder: 0.5})).abs().max() > 1e-2


def test_the_recipe_is_the_old_one_with_the_new_weights(adapter_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter_folder, tmp_path / "whole")
    before = EncoderConfig(
        base_model="tiny", postprocess="ab", adapter=sha256_of(tmp_path / "whole" / "adapter_model.safetensors")
    )
    Recipe(before).save(tmp_path / "whole")
    write_scaled(str(tmp_path / "whole"), tmp_path / "weaker", 0.5)
    after = Recipe.load(tmp_path / "weaker").encoder
    assert after.adapter == sha256_of(tmp_path / "weaker" / "adapter_model.safetensors")
    assert after.differences(before).keys() == {"adapter", "postprocess"}
    assert after.postprocess is None


def test_a_full_disk_is_a_storage_error(
    adapter_folder: Path, tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    weaker = tmp_path / "weaker"
    with full_disk(5_000), pytest.raises(StorageError, match="adapter could not be written.*make room"):
        scaled(str(adapter_folder), weaker, 0.5)
    assert not weaker.exists()
    scaled(str(adapter_folder), weaker, 0.5)
    modes = {path.stat().st_mode for path in weaker.iterdir()}
    assert len(modes) == 1, "whoever may read the settings may read the weights"


def test_what_cannot_be_scaled_is_told(adapter_folder: Path, tmp_path: Path) -> None:
    for scale in (0.0, -1.0, 2.5, float("nan")):
        with pytest.raises(InputError, match="must be above 0 and at most 2"):
            write_scaled(str(adapter_folder), tmp_path / "weaker", scale)
    with pytest.raises(StorageError, match="does not exist"):
        write_scaled("./nowhere", tmp_path / "weaker", 0.5)
    shutil.copytree(adapter_folder, tmp_path / "dora")
    (tmp_path / "dora" / CHECKSUMS).unlink()
    config = json.loads((tmp_path / "dora" / "adapter_config.json").read_text(encoding="utf-8"))
    (tmp_path / "dora" / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}), encoding="utf-8")
    with pytest.raises(InputError, match="not a plain LoRA adapter"):
        write_scaled(str(tmp_path / "dora"), tmp_path / "weaker", 0.5)
    assert not (tmp_path / "weaker").exists()


def test_the_mean_moves_every_weight_by_the_mean(model_folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    other = _another(adapter_folder, tmp_path / "other")
    sources, rank, kept = write_average([str(adapter_folder), str(other)], tmp_path / "mean")
    assert (sources, kept) == ([adapter_folder, other], 1.0)
    assert rank == sum(json.loads((a / "adapter_config.json").read_text())["r"] for a in sources)
    pair = ModelPair.open(str(model_folder), str(tmp_path / "mean"), precision="float32", device="cpu")
    expected = _by_hand(model_folder, {adapter_folder: 0.5, other: 0.5})
    torch.testing.assert_close(pair.hidden_states("sempa", IDS, MASK), expected, rtol=1e-4, atol=1e-5)
    assert (expected - _by_hand(model_folder, {other: 0.5})).abs().max() > 1e-2


def test_a_lower_rank_is_the_nearest_there_is(adapter_folder: Path, tmp_path: Path) -> None:
    """Against the singular values of the full mean: the error is that of the smallest ones."""
    other = _another(adapter_folder, tmp_path / "other")
    together = sum(json.loads((a / "adapter_config.json").read_text())["r"] for a in (adapter_folder, other))
    rank = together - 2
    _, _, kept = write_average([str(adapter_folder), str(other)], tmp_path / "mean", rank)
    found, one, two = (_deltas(folder) for folder in (tmp_path / "mean", adapter_folder, other))
    held = whole = 0.0
    for name, delta in found.items():
        mean = (one[name] + two[name]) / 2
        squares = torch.linalg.svdvals(mean) ** 2
        assert (mean - delta).square().sum() == pytest.approx(float(squares[rank:].sum()), rel=1e-3)
        held, whole = held + float(squares[:rank].sum()), whole + float(squares.sum())
    assert kept == pytest.approx(held / whole, rel=1e-5)
    assert 0.5 < kept < 0.999


def test_a_layer_narrower_than_the_rank_is_exact(model_folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    """Keys and values of the tiny model are 16 numbers wide; the rank of several adapters may be more."""
    sources = [adapter_folder, *(_another(adapter_folder, tmp_path / name) for name in ("second", "third", "fourth"))]
    write_average([str(source) for source in sources], tmp_path / "mean", 18)
    found, *parts = (_deltas(folder) for folder in (tmp_path / "mean", *sources))
    narrow = [name for name, delta in found.items() if min(delta.shape) < 18]
    assert narrow
    for name in narrow:
        mean = sum(part[name] for part in parts) / len(parts)
        torch.testing.assert_close(found[name], mean, rtol=1e-4, atol=1e-5)
    assert ModelPair.open(str(model_folder), str(tmp_path / "mean"), precision="float32", device="cpu").adapter


def test_what_has_no_mean_is_told(adapter_folder: Path, tmp_path: Path) -> None:
    whole, other = str(adapter_folder), _another(adapter_folder, tmp_path / "other")
    with pytest.raises(InputError, match="at least two"):
        write_average([whole], tmp_path / "mean")
    for rank in (0, 10_000):
        with pytest.raises(InputError, match="must be at least 1 and at most"):
            write_average([whole, str(other)], tmp_path / "mean", rank)
    config = json.loads((other / "adapter_config.json").read_text(encoding="utf-8"))
    for change, told in (
        ({"rank_pattern": {"q_proj": 3}}, "cannot be averaged"),
        ({"base_model_name_or_path": "another"}, "do not have the same base"),
    ):
        (other / "adapter_config.json").write_text(json.dumps({**config, **change}), encoding="utf-8")
        with pytest.raises(InputError, match=told):
            write_average([whole, str(other)], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_the_mean_is_what_peft_makes_of_the_adapters(model_folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    """Against PEFT's own averaging at every rank, and against full matrices at a lower rank."""
    other = _another(adapter_folder, tmp_path / "other")
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model_folder), str(adapter_folder), "one")
    tuned.load_adapter(str(other), "two")
    ways: list[tuple[int | None, dict[str, object]]] = [
        (None, {"combination_type": "cat"}),
        (4, {"combination_type": "svd", "svd_rank": 4}),
    ]
    for rank, options in ways:
        name, folder = str(options["combination_type"]), tmp_path / f"rank-{rank}"
        tuned.add_weighted_adapter(["one", "two"], [0.5, 0.5], name, **options)
        write_average([str(adapter_folder), str(other)], folder, rank)
        ours = _deltas(folder)
        for module, delta in ours.items():
            layer = tuned.get_base_model().get_submodule(module)
            torch.testing.assert_close(delta, layer.get_delta_weight(name).detach(), rtol=1e-4, atol=1e-5)
