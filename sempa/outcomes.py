"""What was computed of a model item by item, kept in the cache folder: the same is not asked of it again."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sempa.config import cache_folder
from sempa.machine import hardware, versions


def remembered(precision: str, asked: Mapping[str, Any], compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Return an array from the cache folder if the same was asked of the same model on this machine before.

    Reading whole sets takes half an hour on two cores.
    """
    circumstances = [asked, precision, hardware(), versions()]
    key = hashlib.sha256(json.dumps(circumstances, sort_keys=True, default=str).encode()).hexdigest()
    path = cache_folder() / "outcomes" / f"{key}.npy"
    if path.is_file():
        kept: NDArray[Any] = np.load(path, allow_pickle=False)
        return kept
    found = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{key}.new.npy")
    np.save(aside, found, allow_pickle=False)
    aside.replace(path)
    return found
