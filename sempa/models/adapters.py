"""Adapters in plain PEFT form: attach, create, save."""

import json
import logging
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, PeftType, get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from sempa.config import DEFAULT_BASE, METRICS, RECIPE_FILE, RUN_FACTS, SHIPPED, Recipe
from sempa.errors import AdapterMismatch, ModelUnavailable, StorageError
from sempa.files import CHECKSUMS, require_unchanged, sha256_of, share, write_checksums, writing
from sempa.models.source import can_be_hub_id

log = logging.getLogger(__name__)

ADAPTER_NAME = "sempa"
WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
SHIPPED_ADAPTERS = SHIPPED / "adapters"
"""The adapters trained for the default model, one folder each."""
DEFAULT_ADAPTER = "sempa"
"""The shipped adapter that is used where none is named."""


@dataclass(frozen=True)
class AdapterInfo:
    """An attached adapter: its source, PEFT's name for it, its weights' hash, and its recipe if it has one."""

    source: str
    adapter_name: str
    folder: Path
    sha256: str
    recipe: Recipe | None

    @property
    def name(self) -> str:
        """Return its display name: the last part of its folder or hub id."""
        return Path(self.source).expanduser().resolve().name

    @property
    def runs(self) -> list[list[dict[str, Any]]]:
        """Return the logged training steps of every run it was made from."""
        runs = []
        for path in sorted(self.folder.glob(METRICS.replace(".", "*.")), key=lambda path: (len(path.name), path.name)):
            with suppress(OSError, ValueError, TypeError):
                lines = [dict(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
                runs.append([line for line in lines if "samples" in line])
        return [steps for steps in runs if steps]

    @property
    def seeds(self) -> list[int]:
        """Return the training seeds of the runs it was averaged from; empty if it was not averaged."""
        return [part["seed"] for part in self._facts.get("averaged_from", [])]

    @property
    def scale(self) -> float:
        """Return the factor it was scaled by after training; 1 if it was not scaled."""
        return float(self._facts.get("scale", 1))

    @property
    def _facts(self) -> dict[str, Any]:
        with suppress(OSError, ValueError, TypeError):
            return dict(json.loads((self.folder / RUN_FACTS).read_text(encoding="utf-8")))
        return {}


def shipped_adapters(base: str = DEFAULT_BASE) -> list[str]:
    """Return the folders of the adapters shipped for a base, the default first; only the default model has any."""
    if base != DEFAULT_BASE:
        return []
    folders = [file.parent for file in SHIPPED_ADAPTERS.glob(f"*/{WEIGHTS_FILE}")]
    return [str(folder) for folder in sorted(folders, key=lambda folder: (folder.name != DEFAULT_ADAPTER, folder.name))]


def attach_adapter(
    model: PreTrainedModel | PeftModel, adapter: str, base_name: str, adapter_name: str = ADAPTER_NAME
) -> tuple[PeftModel, AdapterInfo]:
    """Load a PEFT adapter from a folder or hub id onto a base model, beside its other adapters; check every weight.

    A different base name alone is only a warning, since the same weights go by many names.
    Raises: StorageError if the folder is incomplete or damaged; ModelUnavailable if a hub id cannot be fetched;
    AdapterMismatch, naming both sides, if layers or shapes do not fit.
    """
    folder = adapter_folder(adapter)
    written_for = _base_named_in(folder)
    if written_for != base_name:
        log.warning("The adapter %s was trained on %s but is loaded onto %s.", adapter, written_for, base_name)
    try:
        stored = _stored_shapes(folder / WEIGHTS_FILE)
        options: dict[str, Any] = {"adapter_name": adapter_name, "autocast_adapter_dtype": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what peft warns of (missing keys) is checked and raised below
            if isinstance(model, PeftModel):
                (tuned := model).load_adapter(str(folder), **options)
            else:
                tuned = PeftModel.from_pretrained(model, str(folder), **options)
    except SafetensorError as error:
        raise StorageError(f"{folder / WEIGHTS_FILE} is damaged or cut off ({error}): copy it again.") from error
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise AdapterMismatch(
            f"The adapter {adapter} (made for {written_for}) does not fit {base_name}: {reason}"
        ) from error
    weights = get_peft_model_state_dict(tuned, adapter_name=adapter_name, save_embedding_layers=False)
    expected = {name: tuple(weight.shape) for name, weight in weights.items()}
    if wrong := sorted(set(stored.items()) ^ set(expected.items())):
        raise AdapterMismatch(
            f"The adapter {adapter} (made for {written_for}) does not fit {base_name}: {len(wrong)} weights differ in "
            f"name or shape, the first is {wrong[0][0]} {wrong[0][1]}. Use the base it was trained on."
        )
    recipe = Recipe.load(folder) if (folder / RECIPE_FILE).is_file() else None
    sha256 = sha256_of(folder / WEIGHTS_FILE)
    if recipe and recipe.encoder.adapter not in (None, sha256):
        raise StorageError(f"{folder / WEIGHTS_FILE} is not the file that {RECIPE_FILE} names: restore it.")
    return tuned.eval(), AdapterInfo(adapter, adapter_name, folder, sha256, recipe)


def adapter_folder(adapter: str) -> Path:
    """Return the folder of an adapter: a folder, a shipped one by name ("sempa", "adapters/sempa"), or a hub id.

    Raises: StorageError if there is no such folder, or it is incomplete or damaged; ModelUnavailable if it cannot be
    fetched.
    """
    folder = Path(adapter).expanduser()
    shipped = adapter.removeprefix("adapters/") in {path.name for path in SHIPPED_ADAPTERS.glob("*")}
    if shipped and not (folder / CONFIG_FILE).is_file():  # in a checkout, `sempa` is also the package's folder
        folder = SHIPPED_ADAPTERS / folder.name
    if not folder.is_dir():
        if "/" not in adapter or not can_be_hub_id(adapter):
            raise StorageError(f"The adapter folder {adapter} does not exist: check the path given to --adapter.")
        folder = _download(adapter)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise StorageError(f"{adapter} has no {name}: --adapter needs a folder written by train.py or PEFT.")
    require_unchanged(folder)
    return folder


def _download(adapter: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(adapter, allow_patterns=["adapter_*", "*.json", "*.safetensors", CHECKSUMS]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The adapter {adapter} is not a local folder and could not be downloaded from the hub "
            f"({' '.join(str(error).split())[:160]}): check the name, or run `hf auth login` if it is private."
        ) from error


def _base_named_in(folder: Path) -> str:
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if config["peft_type"] not in PeftType.__members__:
            raise ValueError(f"peft_type {config['peft_type']!r} is unknown")
        return str(config["base_model_name_or_path"])
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise StorageError(f"{folder / CONFIG_FILE} is not a PEFT configuration ({error}).") from error


def _stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(path, "pt") as weights:
        return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118


def fresh_adapter(
    model: PreTrainedModel, base_name: str, *, r: int, alpha: int, dropout: float, seed: int
) -> PeftModel:
    """Add a new LoRA adapter to every linear layer but the LM head; it changes nothing until trained.

    Adapter weights are float32 for every number format of the base. Source: Hu et al. 2022; settings of the paper.
    """
    config = LoraConfig(task_type="CAUSAL_LM", r=r, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear")
    torch.manual_seed(seed)
    tuned = get_peft_model(model, config, adapter_name=ADAPTER_NAME)
    tuned.peft_config[ADAPTER_NAME].base_model_name_or_path = base_name
    return tuned


def trainable_adapter(model: PreTrainedModel, adapter: str, base_name: str) -> PeftModel:
    """Load an adapter whose training continues; its weights become float32, as those of a fresh one are.

    Raises: what `attach_adapter` raises.
    """
    tuned, _ = attach_adapter(model, adapter, base_name)
    for name, parameter in tuned.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
    return tuned


def lora_settings(adapter: str) -> dict[str, Any]:
    """Return an adapter's rank, alpha and dropout by the names of TrainConfig."""
    config = LoraConfig.from_pretrained(str(adapter_folder(adapter)))
    return {"lora_r": config.r, "lora_alpha": config.lora_alpha, "lora_dropout": config.lora_dropout}


def seal_adapter(folder: Path) -> None:
    """Write the checksums of the files that opening an adapter reads."""
    write_checksums(folder, [name for name in (CONFIG_FILE, WEIGHTS_FILE, RECIPE_FILE) if (folder / name).is_file()])


def save_adapter(tuned: PeftModel, folder: Path) -> str:
    """Write the adapter as plain PEFT (safetensors) directly into a folder and return the weights' SHA-256.

    Without `save_embedding_layers=False`, PEFT would ask the hub for the base's vocabulary.
    Raises: StorageError if the disk refuses.
    """
    with writing("The adapter", folder):
        folder.mkdir(parents=True, exist_ok=True)
        tuned.save_pretrained(str(folder), selected_adapters=[ADAPTER_NAME], save_embedding_layers=False)
        nested = folder / ADAPTER_NAME  # PEFT puts adapters that are not called "default" into a folder of that name
        for file in nested.iterdir():
            file.replace(folder / file.name)
        nested.rmdir()
        share(folder)
        seal_adapter(folder)
    return sha256_of(folder / WEIGHTS_FILE)
