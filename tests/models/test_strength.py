"""An adapter at part of its strength against weights moved by hand."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from sempa.config import EncoderConfig, Recipe
from sempa.errors import InputError, StorageError
from sempa.models.pair import ModelPair
from sempa.models.source import sha256_of
from sempa.models.strength import write_at_strength

IDS = torch.arange(40, 60).unsqueeze(0)
MASK = torch.ones_like(IDS)


def _by_hand(base: Path, adapter: Path, strength: float) -> torch.Tensor:
    """Return the last states of a base each of whose weights is moved by strength * alpha / r * B A."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    weights = load_file(adapter / "adapter_model.safetensors")
    moved = 0
    with torch.no_grad():
        for name, a in weights.items():
            if ".lora_A." not in name:
                continue
            linear = model.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
            linear.weight += strength * config["lora_alpha"] / config["r"] * weights[name.replace("_A", "_B")] @ a
            moved += 1
        assert moved == len(weights) // 2
        return model(IDS, output_hidden_states=True).hidden_states[-1]


@pytest.mark.parametrize("strength", [0.25, 1.0, 1.5])
def test_every_weight_lies_on_the_line_from_base_to_adapter(
    model_folder: Path, adapter_folder: Path, tmp_path: Path, strength: float
) -> None:
    assert write_at_strength(str(adapter_folder), tmp_path / "weaker", strength) == adapter_folder
    pair = ModelPair.open(str(model_folder), str(tmp_path / "weaker"), precision="float32", device="cpu")
    expected = _by_hand(model_folder, adapter_folder, strength)
    torch.testing.assert_close(pair.hidden_states("sempa", IDS, MASK), expected, rtol=1e-4, atol=1e-5)
    assert (expected - _by_hand(model_folder, adapter_folder, 0.5)).abs().max() > 1e-2


def test_the_recipe_is_the_old_one_with_the_new_weights(adapter_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter_folder, tmp_path / "whole")
    before = EncoderConfig(
        base_model="tiny", postprocess="ab", adapter=sha256_of(tmp_path / "whole" / "adapter_model.safetensors")
    )
    Recipe(before).save(tmp_path / "whole")
    write_at_strength(str(tmp_path / "whole"), tmp_path / "weaker", 0.5)
    after = Recipe.load(tmp_path / "weaker").encoder
    assert after.adapter == sha256_of(tmp_path / "weaker" / "adapter_model.safetensors")
    assert after.differences(before).keys() == {"adapter", "postprocess"}
    assert after.postprocess is None


def test_what_cannot_be_scaled_is_told(adapter_folder: Path, tmp_path: Path) -> None:
    for strength in (0.0, -1.0, 2.5, float("nan")):
        with pytest.raises(InputError, match="must be above 0 and at most 2"):
            write_at_strength(str(adapter_folder), tmp_path / "weaker", strength)
    with pytest.raises(StorageError, match="does not exist"):
        write_at_strength("./nowhere", tmp_path / "weaker", 0.5)
    shutil.copytree(adapter_folder, tmp_path / "dora")
    config = json.loads((tmp_path / "dora" / "adapter_config.json").read_text(encoding="utf-8"))
    (tmp_path / "dora" / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}), encoding="utf-8")
    with pytest.raises(InputError, match="not LoRA alone"):
        write_at_strength(str(tmp_path / "dora"), tmp_path / "weaker", 0.5)
    assert not (tmp_path / "weaker").exists()
