"""Adapters in plain PEFT form: attach one to a base model, make a fresh one, save one."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import Linear, LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedModel

from sempa.config import DEFAULT_BASE, METRICS, RECIPE_FILE, RUN_FACTS, Recipe
from sempa.errors import AdapterMismatch, ModelUnavailable, StorageError
from sempa.files import REFUSALS, share
from sempa.models.fast.prepacked import PrepackedLinear
from sempa.models.source import can_be_hub_id, sha256_of

log = logging.getLogger(__name__)

ADAPTER_NAME = "sempa"
WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
SHIPPED = Path(__file__).parents[2] / "adapters"
"""The adapters trained for the default model, a folder each."""


@dataclass(frozen=True)
class AdapterInfo:
    """Name an attached adapter: its source, PEFT's name of it, its weights' hash, and its recipe if it has one."""

    source: str
    adapter_name: str
    folder: Path
    sha256: str
    recipe: Recipe | None

    @property
    def name(self) -> str:
        """Return what people call it: the last part of its folder or hub id."""
        return Path(self.source).expanduser().resolve().name

    @property
    def runs(self) -> list[list[dict[str, Any]]]:
        """Return the steps of its training as written beside it, one object each, of every run it is made of."""
        runs = []
        for path in sorted(self.folder.glob(METRICS.replace(".", "*.")), key=lambda path: (len(path.name), path.name)):
            try:
                lines = [dict(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
                runs.append([line for line in lines if "samples" in line])
            except (OSError, ValueError, TypeError):
                continue
        return [steps for steps in runs if steps]

    @property
    def seeds(self) -> list[int]:
        """Return the training seeds of the runs it is the mean of; none where nothing is said of a mean."""
        try:
            return [int(part["seed"]) for part in self._facts.get("averaged_from", [])]
        except (ValueError, TypeError, KeyError):
            return []

    @property
    def scale(self) -> float:
        """Return how many times as strong it was made after its training as that left it; 1 where nothing is said."""
        try:
            return float(self._facts.get("scale", 1))
        except (ValueError, TypeError):
            return 1.0

    @property
    def _facts(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / RUN_FACTS).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}


def shipped_adapters(base: str = DEFAULT_BASE) -> list[str]:
    """Return the folders of the adapters shipped for a base, the paper's own first; none but for the default model."""
    if base != DEFAULT_BASE:
        return []
    folders = sorted(file.parent for file in SHIPPED.glob(f"*/{WEIGHTS_FILE}"))
    return [str(folder) for folder in folders]


def attach_adapter(
    model: PreTrainedModel | PeftModel, adapter: str, base_name: str, adapter_name: str = ADAPTER_NAME
) -> tuple[PeftModel, AdapterInfo]:
    """Load a PEFT adapter from a folder or hub id onto a base model, checking that every weight found its place.

    A model that has adapters already gets one more under the name `adapter_name`; none of the others is touched.

    A differing base name alone is a warning, since the same weights go by many names.
    Raises: StorageError if the folder is incomplete; ModelUnavailable if a hub id cannot be fetched; AdapterMismatch,
    naming both sides, if layers or shapes do not fit.
    """
    folder = adapter_folder(adapter)
    written_for = _base_named_in(folder)
    if written_for != base_name:
        log.warning("The adapter %s was trained on %s and is put on %s.", adapter, written_for, base_name)
    try:
        stored = _stored_shapes(folder / WEIGHTS_FILE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what peft warns of (missing keys) is checked and raised below
            if isinstance(model, PeftModel):
                tuned = model
                tuned.load_adapter(str(folder), adapter_name=adapter_name, autocast_adapter_dtype=False)
            else:
                tuned = PeftModel.from_pretrained(
                    model, str(folder), adapter_name=adapter_name, autocast_adapter_dtype=False
                )
    except (RuntimeError, ValueError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise AdapterMismatch(
            f"The adapter {adapter} (made for {written_for}) does not fit {base_name}: {reason}"
        ) from error
    expected = {
        name: tuple(weight.shape)
        for name, weight in get_peft_model_state_dict(
            tuned, adapter_name=adapter_name, save_embedding_layers=False
        ).items()
    }
    if wrong := sorted(set(stored.items()) ^ set(expected.items())):
        raise AdapterMismatch(
            f"The adapter {adapter} (made for {written_for}) does not fit {base_name}: {len(wrong)} weights differ in "
            f"name or shape, the first is {wrong[0][0]} {wrong[0][1]}. Use the base it was trained on."
        )
    recipe = Recipe.load(folder) if (folder / RECIPE_FILE).is_file() else None
    return tuned.eval(), AdapterInfo(adapter, adapter_name, folder, sha256_of(folder / WEIGHTS_FILE), recipe)


class AdapterSwitch:
    """Switch all adapters of a model off and on again, or one of them on for some rows of a batch.

    PEFT's own `disable_adapter` looks at every weight each time: on the default model and two cores that takes 33 ms,
    nearly as long as reading a sentence. Its way to mix adapters in a batch hooks into every module at every forward,
    which nearly doubles the time of a token. Here plain LoRA layers are found once and told directly.
    """

    def __init__(self, tuned: PeftModel) -> None:
        self._tuned = tuned
        self.look()

    def look(self) -> None:
        """Find the layers; an adapter that was added may act on layers that the others leave alone."""
        modules = list(self._tuned.modules())
        self._layers = [module for module in modules if isinstance(module, BaseTunerLayer)]
        told = not any(isinstance(module, AuxiliaryTrainingWrapper) for module in modules)
        self._directly = told and bool(self._layers) and all(isinstance(layer, LoraLayer) for layer in self._layers)
        self.mixes = self._directly and all(_is_plain(layer) for layer in self._layers)
        """Whether base and adapter can compute side by side without PEFT's hooks."""

    @contextmanager
    def off(self) -> Iterator[None]:
        """Leave the base model alone until the block ends."""
        if self.mixes:
            with self._acting(lambda layer: layer.base_layer):
                yield
            return
        if not self._directly:
            with self._tuned.disable_adapter():
                yield
            return
        before = [layer.disable_adapters for layer in self._layers]
        try:
            self._set([True] * len(before))
            yield
        finally:
            self._set(before)

    @contextmanager
    def on(self, adapter_name: str) -> Iterator[None]:
        """Let one adapter, which is the active one, act on all rows until the block ends."""
        if not self.mixes:
            yield
            return
        with self._acting(lambda layer: partial(_on_rows, layer, adapter_name, slice(None))):
            yield

    @contextmanager
    def mixed(self, adapter_name: str, tuned: Sequence[bool]) -> Iterator[dict[str, object]]:
        """Let one adapter act on those rows of a batch that say so; yields what the forward is to be told.

        To be used with the model as PEFT wraps it.
        """
        if not self.mixes:
            yield {"adapter_names": [adapter_name if on else "__base__" for on in tuned]}
            return
        numbers = [number for number, on in enumerate(tuned) if on]
        rows: slice | list[int] = numbers
        if numbers[-1] - numbers[0] + 1 == len(numbers):
            rows = slice(numbers[0], numbers[-1] + 1)
        with self._acting(lambda layer: partial(_on_some, layer, adapter_name, rows, len(tuned))):
            yield {}

    @contextmanager
    def _acting(self, forward: Callable[[LoraLayer], Callable[[Tensor], Tensor]]) -> Iterator[None]:
        """Let each layer compute by what `forward` gives for it, in place of PEFT's own, until the block ends."""
        before = [vars(layer).get("forward") for layer in self._layers]
        try:
            for layer in self._layers:
                vars(layer)["forward"] = forward(layer)
            yield
        finally:
            for layer, kept in zip(self._layers, before, strict=True):
                if kept is None:
                    vars(layer).pop("forward", None)
                else:
                    vars(layer)["forward"] = kept

    def _set(self, disabled: Sequence[bool]) -> None:
        for layer, value in zip(self._layers, disabled, strict=True):
            layer._disable_adapters = value


def _is_plain(layer: LoraLayer) -> bool:
    """Whether a layer is a linear one to which every adapter adds its low-rank term and nothing else."""
    biased = any(getattr(part, "bias", None) is not None for part in layer.lora_B.values())
    return type(layer) is Linear and not layer.lora_variant and not biased and not layer.merged


def _on_rows(layer: LoraLayer, adapter_name: str, rows: slice | list[int], x: Tensor) -> Tensor:
    """Return the base layer's output of (B, T, in) with the adapter's term added to some rows."""
    base = layer.base_layer
    result: Tensor = base(x)
    if adapter_name not in layer.lora_A:
        return result
    a, b, scaling = layer.lora_A[adapter_name].weight, layer.lora_B[adapter_name].weight, layer.scaling[adapter_name]
    every = rows == slice(None)
    if isinstance(base, PrepackedLinear) and (term := base.term(adapter_name, a, b, scaling, x)):
        if every:
            return term.added(result, x)
        result[rows] = term.added(result[rows], x[rows])
        return result
    low = x[rows].reshape(-1, x.shape[-1]).to(result.dtype) @ a.to(result.dtype).T
    chosen = result[rows]  # a view where the rows are consecutive, else a copy
    chosen.view(-1, chosen.shape[-1]).addmm_(low, b.to(result.dtype).T, alpha=scaling)
    if not isinstance(rows, slice):
        result[rows] = chosen
    return result


def _on_some(layer: LoraLayer, adapter_name: str, rows: slice | list[int], count: int, x: Tensor) -> Tensor:
    """Return what `_on_rows` does for a batch of `count` rows, also where a layer is given their tokens in one row.

    OPT does so before its MLP. Raises: AdapterMismatch where tokens come without their rows, as to single experts.
    """
    if len(x) == count:
        return _on_rows(layer, adapter_name, rows, x)
    if x.dim() != 2 or len(x) % count:
        raise AdapterMismatch(
            "The adapter acts on layers that are given some tokens of all rows at once, such as experts: base and "
            "adapter cannot be computed side by side. Train one on the other layers."
        )
    return _on_rows(layer, adapter_name, rows, x.view(count, -1, x.shape[-1])).flatten(0, 1)


def adapter_folder(adapter: str) -> Path:
    """Return the folder of an adapter named by folder or hub id, fetched from there if need be.

    Raises: StorageError if there is no such folder or it is incomplete; ModelUnavailable if it cannot be fetched.
    """
    folder = Path(adapter).expanduser()
    if not folder.is_dir():
        if "/" not in adapter or not can_be_hub_id(adapter):
            raise StorageError(f"The adapter folder {adapter} does not exist: check the path given to --adapter.")
        folder = _download(adapter)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise StorageError(f"{adapter} has no {name}: --adapter needs a folder written by train.py or PEFT.")
    return folder


def _download(adapter: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(adapter, allow_patterns=["adapter_*", "*.json", "*.safetensors"]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The adapter {adapter} is no folder here and could not be fetched from the hub "
            f"({' '.join(str(error).split())[:160]}): check the name, or run `hf auth login` if it is private."
        ) from error


def _base_named_in(folder: Path) -> str:
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        return str(config["base_model_name_or_path"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StorageError(f"{folder / CONFIG_FILE} is not a PEFT configuration ({error}).") from error


def _stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(path, "pt") as weights:
        return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118


def fresh_adapter(
    model: PreTrainedModel, base_name: str, *, r: int, alpha: int, dropout: float, seed: int
) -> PeftModel:
    """Put a new LoRA adapter on every linear layer but the LM head; it changes nothing until trained.

    Adapter weights are float32 whatever the base's number format. Source: Hu et al. 2022; settings of the paper.
    """
    config = LoraConfig(
        task_type="CAUSAL_LM", r=r, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear", bias="none"
    )
    torch.manual_seed(seed)
    tuned = get_peft_model(model, config, adapter_name=ADAPTER_NAME, autocast_adapter_dtype=True)
    tuned.peft_config[ADAPTER_NAME].base_model_name_or_path = base_name
    return tuned


def save_adapter(tuned: PeftModel, folder: Path) -> str:
    """Write the adapter as plain PEFT (safetensors) directly into a folder and return the weights' SHA-256.

    Nothing is looked up on the hub: `save_embedding_layers` would otherwise ask it for the base's vocabulary.
    Raises: StorageError if the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tuned.save_pretrained(str(folder), selected_adapters=[ADAPTER_NAME], save_embedding_layers=False)
        nested = folder / ADAPTER_NAME  # PEFT puts adapters that are not called "default" into a folder of that name
        for file in nested.iterdir():
            file.replace(folder / file.name)
        nested.rmdir()
        share(folder)
    except REFUSALS as error:
        raise StorageError(f"The adapter could not be written to {folder} ({error}): make room there.") from error
    return sha256_of(folder / WEIGHTS_FILE)
