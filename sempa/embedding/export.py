"""Write an encoder as a folder from which sentence-transformers computes the same vectors."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.files import atomic_folder, share
from sempa.models.combine import standalone
from sempa.models.named import NAMED, licence_of, published_as
from sempa.models.precision import DTYPES
from sempa.models.prompts import padding_id
from sempa.models.source import can_be_hub_id
from sempa.templates import SentenceTemplate

# sentence-transformers can put words after a sentence only by rendering every text as a message.
_FORWARD = {"method": "forward", "method_output_name": "last_hidden_state"}
_AS_MESSAGE = {"text": _FORWARD, "message": {**_FORWARD, "format": "flat"}}
_POOLING = {"last": "lasttoken", "mean": "mean"}
_BOOLEANS = {"last": "pooling_mode_lasttoken", "mean": "pooling_mode_mean_tokens"}


def export_sentence_transformers(
    encoder: Encoder, folder: Path, variant: str | None = None, dtype: str = "float32", *, framed: bool = False
) -> None:
    """Write one variant of an encoder into a new folder for `SentenceTransformer(folder)`.

    The adapter is merged in float32 and the weights are then stored as `dtype`. Tidying and template become the
    tokenizer's chat template, post-processing a linear layer, so that float32 vectors agree with `encode` to 1e-5.
    sentence-transformers 6 or later is needed, which keeps the template's end when it truncates a sentence. The
    pooling is stated in its current and its older form, which text-embeddings-inference and OpenVINO require.

    With `framed`, the tokenizer itself tidies and frames any input, for engines that apply no template; a text beyond
    the longest prompt then loses the template's end. Tokens are the same, as framing comes before tokenization.
    Raises: InputError if sentence-transformers is missing, the folder exists, `dtype` is unknown, the recipe reads a
    layer other than the last, or the base cannot be merged or framed; StorageError if the disk refuses.
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer import modules
    except ImportError:
        raise InputError("The export needs sentence-transformers: pip install sentence-transformers.") from None
    if encoder.config.layer not in (-1, encoder.pair.layers):
        raise InputError(
            f"The recipe reads layer {encoder.config.layer}, but sentence-transformers reads only the last."
        )
    if dtype not in DTYPES:
        raise InputError(f"The dtype {dtype!r} is unknown: choose {', '.join(DTYPES)}.")
    variant = variant or encoder.best_variant
    decoder = standalone(encoder.pair, variant, torch.float32).base_model.to(DTYPES[dtype])
    with (
        atomic_folder(folder, "The export") as aside,
        tempfile.TemporaryDirectory(dir=folder.parent) as scratch,
    ):
        decoder.save_pretrained(scratch)
        _save_tokenizer(encoder, Path(scratch), framed)
        as_message = {} if framed else {"modality_config": _AS_MESSAGE, "module_output_name": "token_embeddings"}
        reads = modules.Transformer(scratch, max_seq_length=encoder.limit, **as_message)
        parts = [reads, modules.Pooling(encoder.width, _POOLING[encoder.config.pooling])]
        if encoder.postprocess is not None:
            mean, matrix = encoder.postprocess.means[variant], encoder.postprocess.matrices[variant]
            dense = modules.Dense(encoder.width, matrix.shape[1], activation_function=torch.nn.Identity())
            dense.linear.weight.data = torch.from_numpy(np.ascontiguousarray(matrix.T, dtype=np.float32))
            dense.linear.bias.data = torch.from_numpy(-(mean @ matrix).astype(np.float32))
            parts.append(dense.to(decoder.dtype))
        parts.append(modules.Normalize())
        SentenceTransformer(modules=parts, device="cpu").save(str(aside), create_model_card=False)
        _state_pooling_in_both_forms(aside, encoder)
        (aside / "README.md").write_text(_card(encoder, folder.name, variant, dtype), encoding="utf-8")
        share(aside)


def _state_pooling_in_both_forms(folder: Path, encoder: Encoder) -> None:
    (path,) = folder.glob("*_Pooling/config.json")
    booleans = {name: pooling == encoder.config.pooling for pooling, name in _BOOLEANS.items()}
    older = {"word_embedding_dimension": encoder.width, "pooling_mode_cls_token": False, **booleans}
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**known, **older}, indent=4) + "\n", encoding="utf-8")


def _card(encoder: Encoder, name: str, variant: str, dtype: str) -> str:
    """Return the model card: how to load the folder, its recipe and, of an adapter, the adapter's own card."""
    pair, recipe = encoder.pair, encoder.recipe(variant)
    base = published_as(pair.info.name)
    front = ["library_name: sentence-transformers", "pipeline_tag: sentence-similarity", f"base_model: {base}"]
    if not can_be_hub_id(base):
        front.pop()
    made, adapter = f"the base model {base}, without an adapter", ""
    if recipe.adapter and pair.adapter:
        made = f"{base} with the adapter {pair.adapter.name} (SHA-256 `{recipe.adapter}`) merged into it"
        known, adapter = _adapter_card(pair.adapter.folder / "README.md")
        front += known
    if not any(line.startswith("license:") for line in front) and (licence := licence_of(pair.info.name)):
        front.append(f"license: {licence}")
    terms = f"\n{NAMED[pair.info.name].terms}\n" if licence_of(pair.info.name) else ""
    frame = SentenceTemplate.embedding(encoder.config.template)
    fields = {"template": f"`{frame.before}{{sentence}}{frame.after}`", "layer": "the last", "pooling": recipe.pooling}
    fields |= {"longest prompt": f"{encoder.limit} tokens", "dimensions": str(encoder.width), "weights": dtype}
    fields["post-processing"] = f"SHA-256 `{recipe.postprocess}`" if recipe.postprocess else "none"
    lines = "\n".join(f"- {field}: {value}" for field, value in fields.items())
    front_matter = "\n".join(["---", *front, "tags: [sentence-transformers, sentence-embeddings, sempa]", "---"])
    return f"""{front_matter}

# {name}

Sentence embeddings of {made}. Written by SemPA Studio.
{terms}
## Load
```python
from sentence_transformers import SentenceTransformer

SentenceTransformer({name!r}).encode(["A sentence."])
```
sentence-transformers 6 or later applies the template by itself. Other engines must send the complete prompt, read the
last token and append no end-of-text token.

## Recipe
{lines}
{adapter}"""


def _adapter_card(path: Path) -> tuple[list[str], str]:
    """Return the licence line of an adapter's card and its text up to its own instructions for use."""
    if not path.is_file():
        return [], ""
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    licence = [line for line in front.splitlines() if line.startswith("license:")]
    body = body.split("\n## Use\n")[0].strip().removeprefix("#").lstrip().replace("\n## ", "\n### ")
    kept = [line for line in body.splitlines() if not line.startswith("![")]
    return licence, "\n## " + "\n".join(kept).strip() + "\n"


def _save_tokenizer(encoder: Encoder, folder: Path, framed: bool) -> None:
    from transformers import AutoTokenizer

    tokenizer = copy.deepcopy(encoder.pair.tokenizer)
    if framed:
        tokenizer.chat_template = None
        tokenizer.backend_tokenizer.normalizer = _as_normalizer(encoder.config.template, tokenizer)
    else:
        tokenizer.chat_template = _as_chat_template(encoder.config.template, tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding_id(tokenizer))
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(folder)
    if framed and AutoTokenizer.from_pretrained(folder)("x").input_ids != tokenizer("x").input_ids:
        raise InputError("transformers rebuilds the tokenizer of this model without the prompt: leave out --framed.")


def _as_chat_template(template: str, tokenizer: Any) -> str:
    """Return `tidy_sentence`, the template and the tokenizer's own special tokens as the rendering of a message."""
    frame = SentenceTemplate.embedding(template)
    bare = tokenizer("a", add_special_tokens=False).input_ids
    complete = tokenizer("a").input_ids
    start = next(i for i in range(len(complete)) if complete[i : i + len(bare)] == bare)
    first, last = complete[:start], complete[start + len(bare) :]
    before, after = tokenizer.decode(first) + frame.before, frame.after + tokenizer.decode(last)
    tidy = "" if template == "plain" else _TIDY
    return f"{_TAKE}{tidy}{{{{ {json.dumps(before)} ~ text ~ {json.dumps(after)} }}}}"


def _as_normalizer(template: str, tokenizer: Any) -> Any:
    """Return `tidy_sentence` and the template as the first steps of a tokenizer's normalizer."""
    from tokenizers import Regex
    from tokenizers.normalizers import Prepend, Replace, Sequence, Strip

    frame = SentenceTemplate.embedding(template)
    end = Regex(r"\z")
    tidy = [
        Replace(Regex(r"[\s\x1c-\x1f\x85]+"), " "),
        Strip(),
        Replace(Regex(r"(?<=[^.?\"'])\z"), "."),
        Replace('"', "'"),
        Replace(Regex(r"\?\z"), "."),
    ]
    known = tokenizer.backend_tokenizer.normalizer
    steps = [*([] if template == "plain" else tidy), Prepend(frame.before), Replace(end, frame.after)]
    return Sequence([*steps, *([known] if known else [])])


_TAKE = "{%- set text = messages[-1]['content'] -%}"
_TIDY = """{%- set text = text.split() | join(' ') -%}
{%- if text and text[-1] not in '.?"\\'' %}{% set text = text ~ '.' %}{% endif -%}
{%- set text = text.replace('"', "'") -%}
{%- if text.endswith('?') %}{% set text = text[:-1] ~ '.' %}{% endif -%}
"""
