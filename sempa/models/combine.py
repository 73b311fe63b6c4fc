"""Adapters made of adapters: a weaker copy of one, the mean of several."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from sempa.config import RECIPE_FILE, Recipe
from sempa.errors import InputError
from sempa.files import sha256_of
from sempa.models.adapters import CONFIG_FILE, WEIGHTS_FILE, adapter_folder

LARGEST = 2.0
"""No adapter is made stronger than this: what lies beyond its training is not known."""
_A, _B = ".lora_A.", ".lora_B."


@dataclass(frozen=True)
class _Lora:
    """Hold an adapter that is low-rank terms and nothing else."""

    folder: Path
    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    @classmethod
    def read(cls, adapter: str) -> "_Lora":
        """Return an adapter from its folder or the hub.

        Raises: InputError if it is more than plain LoRA; what loading an adapter raises.
        """
        folder = adapter_folder(adapter)
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS_FILE)
        plain = config.get("peft_type") == "LORA" and not config.get("use_dora")
        if not plain or any(_A not in name and _B not in name for name in weights):
            raise InputError(f"The adapter {adapter} is not LoRA alone: it cannot be scaled or averaged.")
        return cls(folder, config, weights)

    @property
    def scale(self) -> float:
        """Return the factor of every low-rank product.

        Raises: InputError if it is not the same everywhere.
        """
        if any(self.config.get(name) for name in ("rank_pattern", "alpha_pattern")):
            raise InputError(f"The adapter {self.folder} has ranks or scales of single layers: it cannot be averaged.")
        rank = float(self.config["r"])
        return float(self.config["lora_alpha"]) / (rank**0.5 if self.config.get("use_rslora") else rank)


def write_scaled(adapter: str, output: Path, scale: float) -> Path:
    """Write a LoRA adapter whose low-rank terms are `scale` times as large; return the folder it was made from.

    At 0 it would be the base, at 1 it is the adapter. In between every weight lies on the straight line from one to the
    other, on which fine-tuned models often keep most of what they learned and lose less of what they could.
    `output` gets PEFT's two files and, where the adapter has one, the recipe with the new weights' hash.
    Raises: InputError for a scale that is not above 0 and at most LARGEST, or an adapter that is more than plain
    LoRA; what loading an adapter raises.
    Source: Wortsman et al. 2022 (WiSE-FT).
    """
    if not 0 < scale <= LARGEST:
        raise InputError(f"The scale is {scale}: it must be above 0 and at most {LARGEST:g}; 1 changes nothing.")
    found = _Lora.read(adapter)
    scaled = {name: weight * scale if _B in name else weight for name, weight in found.weights.items()}
    _write(scaled, found.config, found.folder, output)
    return found.folder


def write_average(adapters: Sequence[str], output: Path, rank: int | None = None) -> tuple[list[Path], int, float]:
    """Write the LoRA adapter that moves every weight by the mean of what the adapters move it by.

    Without `rank` it has all their ranks together and is that mean exactly; with it, each layer's nearest matrix of
    that rank. Returns the folders they came from, the mean's rank, and the share of its squared norm that is kept, 1
    for all.
    `output` gets PEFT's two files and, where the first adapter has one, its recipe with the new weights' hash.
    Raises: InputError for fewer than two adapters, a rank below 1, adapters that are more than plain LoRA or not of the
    same layers; what loading an adapter raises.
    Source: Wortsman et al. 2022 (model soups); Eckart and Young 1936.
    """
    if len(adapters) < 2:
        raise InputError("A mean needs at least two adapters: give --adapter several times.")
    found = [_Lora.read(adapter) for adapter in adapters]
    first = found[0]
    for other in found[1:]:
        same = other.weights.keys() == first.weights.keys() and other.config.get("base_model_name_or_path") == (
            first.config.get("base_model_name_or_path")
        )
        if not same:
            raise InputError(f"The adapters {first.folder} and {other.folder} are not of the same base and layers.")
    together = sum(int(adapter.config["r"]) for adapter in found)
    most = min(together, *(max(weight.shape) for weight in first.weights.values()))
    if rank is not None and not 1 <= rank <= most:
        raise InputError(f"The rank is {rank}: it must be at least 1 and at most {most}.")
    weights: dict[str, Tensor] = {}
    kept = whole = 0.0
    for name in first.weights:
        if _A not in name:
            continue
        opposite = name.replace(_A, _B)
        a = torch.cat([adapter.weights[name] for adapter in found]).double()
        b = torch.cat([adapter.weights[opposite] * (adapter.scale / len(found)) for adapter in found], dim=1).double()
        if rank is not None:
            a, b, squares = _nearest(a, b, rank)
            kept, whole = kept + float(squares[:rank].sum()), whole + float(squares.sum())
        dtype = first.weights[name].dtype
        weights |= {name: a.to(dtype).contiguous(), opposite: b.to(dtype).contiguous()}
    size = rank or together
    _write(weights, {**first.config, "r": size, "lora_alpha": size, "use_rslora": False}, first.folder, output)
    return [adapter.folder for adapter in found], size, kept / whole if whole else 1.0


def _nearest(a: Tensor, b: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return (rank, in) and (out, rank) whose product is nearest to b a, and all its squared singular values."""
    (across, inner), (down, outer) = torch.linalg.qr(a.T), torch.linalg.qr(b)
    left, values, right = torch.linalg.svd(outer @ inner.T)
    root = values[:rank].sqrt()
    return root[:, None] * (right[:rank] @ across.T), (down @ left[:, :rank]) * root, values**2


def _write(weights: Mapping[str, Tensor], config: Mapping[str, Any], like: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / WEIGHTS_FILE).write_bytes(save(dict(weights), metadata={"format": "pt"}))
    (output / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if (like / RECIPE_FILE).is_file():
        recipe = Recipe.load(like)
        # Statistics for post-processing are those of other vectors.
        encoder = replace(recipe.encoder, adapter=sha256_of(output / WEIGHTS_FILE), postprocess=None)
        Recipe(encoder, recipe.training).save(output)
