"""What is special about files of safetensors."""

import shutil
from pathlib import Path

from safetensors import SafetensorError

REFUSALS = (OSError, SafetensorError)
"""What a disk refuses to write weights with: of a full one safetensors makes an error of its own."""


def share(folder: Path) -> None:
    """Let whoever may read the settings in a folder read the weights beside them, which are their owner's alone."""
    for weights in folder.rglob("*.safetensors"):
        shutil.copymode(next(weights.parent.glob("*.json")), weights)
