"""Load a model and its tokenizer, with errors that name the cure."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from sempa.errors import InputError, ModelUnavailable
from sempa.models.precision import FOUR_BIT, Precision
from sempa.models.sharding import share_out

log = logging.getLogger(__name__)

Report = Callable[[str], None]
"""Receives one line of progress text at a time."""


@dataclass(frozen=True)
class ModelSource:
    """Name the place of weights: a folder or hub id, and the GGUF file in it if that is the format.

    `fingerprint` distinguishes weights on this disk from other weights in the same place.
    """

    name: str
    location: str
    gguf_file: str | None = None
    revision: str | None = None
    fingerprint: str | None = None


def read_weights(
    source: ModelSource, precision: Precision, *, sharded: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer, in evaluation mode; never from a pickle.

    `sharded` weights are spread over the processes launched together.
    Raises: ModelUnavailable, naming the model and the cure; InputError for GGUF or sharded weights in four bits.
    """
    if sharded and precision.four_bit:
        raise InputError(f"Weights in {FOUR_BIT} cannot be sharded: launch without --use_fsdp, or without {FOUR_BIT}.")
    where = _where(source)
    quantization = _quantization(source, precision)
    transformers_logging.disable_progress_bar()
    try:
        if hasattr(AutoConfig.from_pretrained(source.location, **where), "text_config"):
            raise ModelUnavailable(
                f"The model {source.name} reads more than text (its configuration has a text_config): choose a "
                f"text-only model as --base."
            )
        tokenizer = AutoTokenizer.from_pretrained(source.location, **where)
        model, loaded = AutoModelForCausalLM.from_pretrained(
            source.location,
            dtype=precision.dtype,
            use_safetensors=True,
            output_loading_info=True,
            **where,
            **quantization,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelUnavailable(_explain(source.name, error)) from error
    if missing := sorted(loaded["missing_keys"]):
        raise ModelUnavailable(
            f"The model {source.name} lacks {len(missing)} of its weights; the first is {missing[0]}: download it "
            f"again or choose another --base."
        )
    if sharded:
        model = share_out(model, precision.device)
    elif not precision.four_bit:  # those are on their device already and cannot be moved
        model = model.to(precision.device)
    return model.eval(), tokenizer


def _quantization(source: ModelSource, precision: Precision) -> dict[str, Any]:
    if source.gguf_file:
        if precision.four_bit:
            raise InputError(f"{source.name} is quantised already: give the model's safetensors for {FOUR_BIT}.")
        # Without this the weights stay quantised, and save_pretrained refuses them.
        return {"quantization_config": GgufConfig(dequantize=True)}
    if not precision.four_bit:
        return {}
    four_bit = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=FOUR_BIT,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision.dtype,
    )
    return {"quantization_config": four_bit, "device_map": {"": precision.device}}


def read_tokenizer(source: ModelSource) -> PreTrainedTokenizerBase:
    """Load only a model's tokenizer; ModelUnavailable names the model and the cure."""
    try:
        return AutoTokenizer.from_pretrained(source.location, **_where(source))
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelUnavailable(_explain(source.name, error)) from error


def _where(source: ModelSource) -> dict[str, Any]:
    given = {"gguf_file": source.gguf_file, "revision": source.revision}
    where: dict[str, Any] = {name: value for name, value in given.items() if value}
    if not Path(source.location).exists() and not _hub_answers(source):
        where["local_files_only"] = True
    return where


def _hub_answers(source: ModelSource) -> bool:
    """Check once whether the hub responds; its client would try every file of a model for half a minute."""
    try:
        HfApi().model_info(source.location, revision=source.revision, timeout=10)
    except HfHubHTTPError:
        return True  # it responds; fetching the files will show what is wrong with the model
    except Exception as error:  # network errors of any HTTP client the hub's client may use
        log.info("The hub does not answer (%s): using the local cache only.", error)
        return False
    return True


def _explain(name: str, error: Exception) -> str:
    text = " ".join(str(error).split())
    causes = tuple(_causes(error))
    refused = any(isinstance(c, HfHubHTTPError) and c.response.status_code in (401, 403) for c in causes)
    missing = any(isinstance(c, RepositoryNotFoundError) for c in causes)  # also the parent of GatedRepoError
    if any(isinstance(c, GatedRepoError) for c in causes) or (refused and not missing):
        return f"The model {name} is gated: accept its terms on its hub page, run `hf auth login`, start again."
    if missing:
        return (
            f"There is no model {name} on the hub and no such folder here: check the name given to --base, or run "
            f"`hf auth login` if it is private."
        )
    if any(isinstance(c, LocalEntryNotFoundError) for c in causes):
        return f"The model {name} is not in the local cache and the hub cannot be reached: check the network."
    if "Unrecognized configuration class" in text or "Should have a `model_type`" in text:
        return f"The model {name} is not a causal language model transformers can load: choose another --base."
    return f"The model {name} could not be loaded: {text[:300]}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
