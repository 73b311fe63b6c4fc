"""New adapters and models from trained ones: an adapter scaled, several averaged, base and adapter merged."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel

from sempa.config import RECIPE_FILE, Recipe
from sempa.errors import InputError
from sempa.files import atomic_folder, sha256_of, share
from sempa.models.adapters import CONFIG_FILE, WEIGHTS_FILE, adapter_folder, seal_adapter
from sempa.models.pair import SEMPA, ModelPair

LARGEST = 2.0
"""Maximum scale of an adapter; the effect of larger ones is untested."""
_A, _B = ".lora_A.", ".lora_B."


@dataclass(frozen=True)
class Lora:
    """An adapter of low-rank products alone: its folder, PEFT configuration and weights."""

    folder: Path
    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    @classmethod
    def read(cls, adapter: str) -> "Lora":
        """Return an adapter from its folder or the hub; InputError if it is more than plain LoRA."""
        folder = adapter_folder(adapter)
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS_FILE)
        plain = config.get("peft_type") == "LORA" and not config.get("use_dora")
        if not plain or any(_A not in name and _B not in name for name in weights):
            raise InputError(f"The adapter {adapter} is not a plain LoRA adapter, so it cannot be scaled or averaged.")
        return cls(folder, config, weights)

    @property
    def factor(self) -> float:
        """Return the factor of every low-rank product; InputError if it differs between layers."""
        if any(self.config.get(name) for name in ("rank_pattern", "alpha_pattern")):
            raise InputError(
                f"The adapter {self.folder} has a different rank or scale in some layers, so it cannot be averaged."
            )
        rank = float(self.config["r"])
        return float(self.config["lora_alpha"]) / (rank**0.5 if self.config.get("use_rslora") else rank)


def write_scaled(adapter: str, output: Path, scale: float) -> Path:
    """Write a LoRA adapter with its low-rank products multiplied by `scale`; return the folder it was made from.

    Between 0 (the base) and 1 (the adapter) a model often keeps most of what it learned and forgets less. `output` gets
    PEFT's two files and, if the adapter has one, the recipe with the new weights' hash.
    Raises: InputError for a scale not above 0 and at most LARGEST, or more than plain LoRA; what loading raises.
    Source: Wortsman et al. 2022 (WiSE-FT).
    """
    if not 0 < scale <= LARGEST:
        raise InputError(f"The scale is {scale}: it must be above 0 and at most {LARGEST:g}; 1 changes nothing.")
    found = Lora.read(adapter)
    scaled = {name: weight * scale if _B in name else weight for name, weight in found.weights.items()}
    _write(scaled, found.config, found.folder, output)
    return found.folder


def write_average(adapters: Sequence[str], output: Path, rank: int | None = None) -> tuple[list[Path], int, float]:
    """Write the LoRA adapter that changes every weight by the mean of the adapters' changes.

    Without `rank` it has the sum of their ranks and is exact; with `rank`, each layer is the nearest matrix of that
    rank. Returns the folders they came from, the rank, and the share of the mean's squared norm that is kept.
    `output` gets what `write_scaled` writes, with the first adapter's recipe. PEFT's `add_weighted_adapter` decomposes
    full matrices of a loaded base; the factors alone take a thirtieth of the time and no base.
    Raises: InputError for fewer than two adapters, a rank they cannot have, more than plain LoRA, or different layers;
    what loading raises.
    Source: Wortsman et al. 2022 (model soups); Eckart and Young 1936.
    """
    if len(adapters) < 2:
        raise InputError("An average needs at least two adapters: repeat --adapter.")
    found = [Lora.read(adapter) for adapter in adapters]
    first = found[0]
    base = first.config.get("base_model_name_or_path")
    for other in found[1:]:
        if other.weights.keys() != first.weights.keys() or other.config.get("base_model_name_or_path") != base:
            raise InputError(f"The adapters {first.folder} and {other.folder} do not have the same base and layers.")
    together = sum(int(adapter.config["r"]) for adapter in found)
    if rank is not None and not 1 <= rank <= together:
        raise InputError(f"The rank is {rank}: it must be at least 1 and at most {together}.")
    weights: dict[str, Tensor] = {}
    kept = total = 0.0
    for name in first.weights:
        if _A not in name:
            continue
        opposite = name.replace(_A, _B)
        a = torch.cat([adapter.weights[name] for adapter in found]).double()
        b = torch.cat([adapter.weights[opposite] * (adapter.factor / len(found)) for adapter in found], dim=1).double()
        if rank is not None:
            a, b, squares = _nearest(a, b, rank)
            kept, total = kept + float(squares[:rank].sum()), total + float(squares.sum())
        dtype = first.weights[name].dtype
        weights |= {name: a.to(dtype).contiguous(), opposite: b.to(dtype).contiguous()}
    size = rank or together
    _write(weights, {**first.config, "r": size, "lora_alpha": size, "use_rslora": False}, first.folder, output)
    return [adapter.folder for adapter in found], size, kept / total if total else 1.0


def _nearest(a: Tensor, b: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return (rank, in) and (out, rank) whose product is nearest to b a, and all its squared singular values.

    A layer narrower than the rank gets zeros up to it: the rank is one number for all layers.
    """
    (across, inner), (down, outer) = torch.linalg.qr(a.T), torch.linalg.qr(b)
    left, values, right = torch.linalg.svd(outer @ inner.T, full_matrices=False)
    root = values[:rank].sqrt()
    missing = rank - len(root)
    high, low = root[:, None] * (right[:rank] @ across.T), (down @ left[:, :rank]) * root
    return pad(high, (0, 0, 0, missing)), pad(low, (0, missing)), values**2


def _write(weights: Mapping[str, Tensor], config: Mapping[str, Any], like: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / WEIGHTS_FILE).write_bytes(save(dict(weights), metadata={"format": "pt"}))
    (output / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if (like / RECIPE_FILE).is_file():
        recipe = Recipe.load(like)
        # Statistics for post-processing are those of other vectors.
        encoder = replace(recipe.encoder, adapter=sha256_of(output / WEIGHTS_FILE), postprocess=None)
        Recipe(encoder, recipe.training).save(output)
    seal_adapter(output)


def standalone(pair: ModelPair, variant: str, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """Return a copy of one variant as a plain model, in the base's number format or `dtype`.

    bfloat16 rounds the small changes of an adapter: vectors then differ by about as much as from batching.
    Raises: InputError for an unknown variant, or for a base in four bits.
    """
    if pair.info.precision.four_bit:
        raise InputError("Weights in four bits cannot be merged without loss: use --precision bfloat16.")
    with pair.using(variant) as model:
        copied = copy.deepcopy(pair.peft if SEMPA in pair.variants else model).to(dtype or pair.dtype)
    if isinstance(copied, PeftModel):
        return copied.merge_and_unload(safe_merge=True) if variant == SEMPA else copied.unload()
    return copied


def save_merged(pair: ModelPair, folder: Path) -> None:
    """Write the aligned model with its adapter merged into the weights, and the tokenizer, into a new folder.

    Raises: InputError without an adapter, for a base in four bits, or if the folder exists; StorageError if the disk
    refuses.
    """
    with atomic_folder(folder, "The merged model") as aside:
        standalone(pair, SEMPA).save_pretrained(aside)
        pair.tokenizer.save_pretrained(aside)
        share(aside)
