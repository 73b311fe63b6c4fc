"""Base and adapter as one model in plain safetensors."""

import copy
from pathlib import Path

from sempa.errors import InputError, StorageError
from sempa.models.pair import SEMPA, ModelPair


def save_merged(pair: ModelPair, folder: Path) -> None:
    """Write the aligned model with its adapter merged into the weights, and the tokenizer, into a new folder.

    The pair itself stays as it is. Weights keep the base's number format, so in bfloat16 the small changes of an
    adapter are rounded: vectors then differ from the unmerged model's by about as much as batching makes them.
    Raises: InputError without an adapter, for a base in four bits, or if the folder exists; StorageError if the
    disk refuses.
    """
    if folder.exists():
        raise InputError(f"{folder} exists already: choose another folder or remove it.")
    if pair.info.precision.four_bit:
        raise InputError("Weights in four bits cannot be merged without loss: use --precision bfloat16.")
    with pair.using(SEMPA):
        tuned = copy.deepcopy(pair.peft)
    aside = folder.with_name(folder.name + ".partial")
    try:
        merged = tuned.merge_and_unload(safe_merge=True)
        merged.save_pretrained(aside, safe_serialization=True)
        pair.tokenizer.save_pretrained(aside)
        aside.replace(folder)
    except OSError as error:
        raise StorageError(f"The merged model could not be written to {folder} ({error}): make room there.") from error
