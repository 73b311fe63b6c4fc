"""Find a base model's weights: a named model, a folder, a GGUF file or a hub id."""

import logging
from pathlib import Path

from sempa.errors import ModelUnavailable
from sempa.models.conversions import fingerprint
from sempa.models.fetch import named_model_folder
from sempa.models.load import ModelSource, Report
from sempa.models.named import NAMED

log = logging.getLogger(__name__)


def can_be_hub_id(name: str) -> bool:
    """Return whether a name can be a hub id, `owner/name` or `name`, rather than a path."""
    return not name.startswith((".", "/", "~")) and name.count("/") <= 1 and "\\" not in name


def locate(base: str, revision: str | None = None, report: Report = log.info) -> ModelSource:
    """Return the source of the weights of `base`, fetching a named model on first use.

    `base` is a name in NAMED, a folder, a `.gguf` file, or a hub id, which the hub client fetches when it is loaded.
    Raises: ModelUnavailable if neither source gives a named model, or a path does not exist.
    """
    if base in NAMED:
        return ModelSource(base, str(named_model_folder(base, report)))
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
