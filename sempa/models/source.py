"""Find a base model's weights: the default model, a folder, a GGUF file or a hub id."""

import logging
from pathlib import Path

from sempa.config import DEFAULT_BASE
from sempa.errors import ModelUnavailable
from sempa.models.conversions import fingerprint
from sempa.models.default_model import default_model_folder
from sempa.models.load import ModelSource, Report

log = logging.getLogger(__name__)


def can_be_hub_id(name: str) -> bool:
    """Return whether a name can be a hub id, `owner/name` or `name`, rather than a path."""
    return not name.startswith((".", "/", "~")) and name.count("/") <= 1 and "\\" not in name


def locate(base: str, revision: str | None = None, report: Report = log.info) -> ModelSource:
    """Return the source of the weights of `base`, fetching the default model on first use.

    `base` is DEFAULT_BASE, a folder, a `.gguf` file, or a hub id, which the hub client fetches when it is loaded.
    Raises: ModelUnavailable if neither source gives the default model, or a path does not exist.
    """
    if base == DEFAULT_BASE:
        return ModelSource(base, str(default_model_folder(report)))
    path = Path(base).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelUnavailable(f"The GGUF file {base} does not exist: check the path given to --base.")
        return ModelSource(base, str(path.parent), gguf_file=path.name, fingerprint=fingerprint([path]))
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelUnavailable(f"The folder {base} has no config.json: --base needs a transformers model folder.")
        return ModelSource(base, str(path), fingerprint=fingerprint(path.glob("*.safetensors")))
    if not can_be_hub_id(base):
        raise ModelUnavailable(f"The folder {base} does not exist: give --base a folder, a .gguf file or a hub id.")
    return ModelSource(base, base, revision=revision)
