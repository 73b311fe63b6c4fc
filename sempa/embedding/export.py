"""An encoder as a folder that sentence-transformers loads and that gives the same vectors, without code of ours."""

import copy
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.files import atomic_folder, share
from sempa.models.merge import standalone
from sempa.models.prompts import padding_id
from sempa.templates import SentenceTemplate

# How the library is told to render every text as a message, which is the one way it has to put words behind a sentence.
_FORWARD = {"method": "forward", "method_output_name": "last_hidden_state"}
_AS_MESSAGE = {"text": _FORWARD, "message": {**_FORWARD, "format": "flat"}}


def export_sentence_transformers(encoder: Encoder, folder: Path, variant: str | None = None) -> None:
    """Write one variant of an encoder into a new folder for `SentenceTransformer(folder)`.

    The adapter is merged in float32, tidying and template become the tokenizer's chat template, post-processing a
    linear layer, so that vectors agree with `encode` in float32 to 1e-5. It needs sentence-transformers 6 or later,
    which keeps a template's end where a sentence is cut.
    Raises: InputError if sentence-transformers is not installed, the folder exists, the recipe reads another layer
    than the last, or the base is in four bits; StorageError if the disk refuses.
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer import modules
    except ImportError:
        raise InputError("The export needs its library: pip install sentence-transformers.") from None
    if encoder.config.layer not in (-1, encoder.pair.layers):
        raise InputError(f"The recipe reads layer {encoder.config.layer}: sentence-transformers reads the last alone.")
    variant = variant or encoder.best_variant
    decoder = standalone(encoder.pair, variant, torch.float32).base_model
    with atomic_folder(folder, "The export") as aside, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        decoder.save_pretrained(scratch)
        _save_tokenizer(encoder, Path(scratch))
        reads = modules.Transformer(
            scratch,
            modality_config=_AS_MESSAGE,
            module_output_name="token_embeddings",
            max_seq_length=encoder.limit,
        )
        pooling = {"last": "lasttoken", "mean": "mean"}[encoder.config.pooling]
        parts = [reads, modules.Pooling(encoder.width, pooling)]
        if encoder.postprocess is not None:
            mean, matrix = encoder.postprocess.means[variant], encoder.postprocess.matrices[variant]
            dense = modules.Dense(encoder.width, matrix.shape[1], activation_function=torch.nn.Identity())
            dense.linear.weight.data = torch.from_numpy(np.ascontiguousarray(matrix.T, dtype=np.float32))
            dense.linear.bias.data = torch.from_numpy(-(mean @ matrix).astype(np.float32))
            parts.append(dense)
        parts.append(modules.Normalize())
        SentenceTransformer(modules=parts, device="cpu").save(str(aside))
        share(aside)


def _save_tokenizer(encoder: Encoder, folder: Path) -> None:
    tokenizer: PreTrainedTokenizerBase = copy.deepcopy(encoder.pair.tokenizer)
    tokenizer.chat_template = _as_chat_template(encoder.config.template, tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding_id(tokenizer))
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(folder)


def _as_chat_template(template: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return `tidy_sentence`, the template and the tokenizer's own special tokens as the rendering of a message."""
    frame = SentenceTemplate.embedding(template)
    bare = tokenizer("a", add_special_tokens=False).input_ids
    whole = tokenizer("a").input_ids
    start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    first, last = whole[:start], whole[start + len(bare) :]
    before, after = tokenizer.decode(first) + frame.before, frame.after + tokenizer.decode(last)
    tidy = "" if template == "plain" else _TIDY
    return f"{_TAKE}{tidy}{{{{ {json.dumps(before)} ~ text ~ {json.dumps(after)} }}}}"


_TAKE = "{%- set text = messages[-1]['content'] -%}"
_TIDY = """{%- set text = text.split() | join(' ') -%}
{%- if text and text[-1] not in '.?"\\'' %}{% set text = text ~ '.' %}{% endif -%}
{%- set text = text.replace('"', "'") -%}
{%- if text.endswith('?') %}{% set text = text[:-1] ~ '.' %}{% endif -%}
"""
