"""A weaker copy of an adapter: part of the way from the base model to the aligned one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file, save_file

from sempa.config import RECIPE_FILE, Recipe
from sempa.errors import InputError
from sempa.models.adapters import CONFIG_FILE, WEIGHTS_FILE, adapter_folder
from sempa.models.source import sha256_of

LARGEST = 2.0
"""No adapter is made stronger than this: what lies beyond its training is not known."""


def write_at_strength(adapter: str, output: Path, strength: float) -> Path:
    """Write a LoRA adapter whose low-rank terms are `strength` times as large; return the folder it was made from.

    At 0 it would be the base, at 1 it is the adapter. In between every weight lies on the straight line from one to the
    other, on which fine-tuned models often keep most of what they learned and lose less of what they could.
    `output` gets PEFT's two files and, where the adapter has one, the recipe with the new weights' hash.
    Raises: InputError for a strength that is not above 0 and at most LARGEST, or an adapter that is more than plain
    LoRA; what loading an adapter raises.
    Source: Wortsman et al. 2022 (WiSE-FT).
    """
    if not 0 < strength <= LARGEST:
        raise InputError(f"The strength is {strength}: it must be above 0 and at most {LARGEST:g}; 1 changes nothing.")
    folder = adapter_folder(adapter)
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    weights = load_file(folder / WEIGHTS_FILE)
    plain = config.get("peft_type") == "LORA" and not config.get("use_dora")
    if not plain or any(".lora_A." not in name and ".lora_B." not in name for name in weights):
        raise InputError(f"The adapter {adapter} is not LoRA alone: its strength cannot be set by scaling.")
    scaled = {name: weight * strength if ".lora_B." in name else weight for name, weight in weights.items()}
    output.mkdir(parents=True)
    save_file(scaled, output / WEIGHTS_FILE, metadata={"format": "pt"})
    shutil.copy(folder / CONFIG_FILE, output / CONFIG_FILE)
    if (folder / RECIPE_FILE).is_file():
        recipe = Recipe.load(folder)
        # Statistics for post-processing are those of other vectors.
        encoder = replace(recipe.encoder, adapter=sha256_of(output / WEIGHTS_FILE), postprocess=None)
        Recipe(encoder, recipe.training).save(output)
    return folder
