"""Either variant as one model in plain safetensors."""

import copy
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from sempa.errors import InputError
from sempa.files import atomic_folder, share
from sempa.models.pair import SEMPA, ModelPair


def standalone(pair: ModelPair, variant: str, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """Return a copy of one variant as a plain model: the adapter merged into the weights, or left out.

    The pair itself stays as it is. Weights keep the base's number format unless `dtype` is given; in bfloat16 the
    small changes of an adapter are rounded: vectors then differ from the unmerged model's by about as much as
    batching makes them.
    Raises: InputError for a variant that is not there, or for a base in four bits.
    """
    if pair.info.precision.four_bit:
        raise InputError("Weights in four bits cannot be merged without loss: use --precision bfloat16.")
    with pair.using(variant) as model:
        if SEMPA not in pair.variants:
            return copy.deepcopy(model).to(dtype or pair.dtype)
        tuned: PeftModel = copy.deepcopy(pair.peft).to(dtype or pair.dtype)
    plain: PreTrainedModel = tuned.merge_and_unload(safe_merge=True) if variant == SEMPA else tuned.unload()
    return plain


def save_merged(pair: ModelPair, folder: Path) -> None:
    """Write the aligned model with its adapter merged into the weights, and the tokenizer, into a new folder.

    Raises: InputError without an adapter, for a base in four bits, or if the folder exists; StorageError if the disk
    refuses.
    """
    with atomic_folder(folder, "The merged model") as aside:
        merged = standalone(pair, SEMPA)
        merged.save_pretrained(aside, safe_serialization=True)
        pair.tokenizer.save_pretrained(aside)
        share(aside)
