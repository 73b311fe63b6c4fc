"""A tokenizer's vocabulary as GGUF metadata, from which llama.cpp splits text into the same tokens."""

import json
import re
from collections.abc import Mapping
from typing import Any

from gguf import GGUFWriter, TokenType
from transformers import PreTrainedTokenizerBase

from sempa.errors import InputError

SPACE = "\u2581"
"""What SentencePiece writes for a space."""
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def add_vocabulary(writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase, size: int) -> None:
    """Add the `size` tokens that a model has rows for, the special ones and the chat template.

    llama.cpp puts the beginning-of-sequence token first, or the end token last, exactly where the tokenizer does. It
    does not normalise Unicode, so a tokenizer that does (Qwen's: NFC) agrees only on normalised text.
    Raises: InputError for a tokenizer that is neither byte-level BPE nor SentencePiece BPE.
    """
    core = json.loads(tokenizer.backend_tokenizer.to_str())
    model = core["model"]
    if model["type"] != "BPE":
        raise InputError(f"A GGUF file needs a BPE tokenizer, but this model's is {model['type']}.")
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    sentencepiece = bool(model["byte_fallback"])
    if sentencepiece:
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_add_space_prefix(tokenizer.tokenize("a")[0].startswith(SPACE))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_split_name(core["pre_tokenizer"]))
        writer.add_token_merges([" ".join(merge) for merge in merges])
    tokens, types = _tokens(tokenizer, size, sentencepiece)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if sentencepiece:  # llama.cpp joins the pair of the highest score first; tokenizers goes by the order of merges
        order = {"".join(merge): -rank for rank, merge in reversed(list(enumerate(merges)))}
        writer.add_token_scores([float(order.get(token, -len(merges))) for token in tokens])
    _add_special(writer, tokenizer)


def _tokens(tokenizer: PreTrainedTokenizerBase, size: int, sentencepiece: bool) -> tuple[list[str], list[TokenType]]:
    """Return the text and the type of each id; ids without a token get an unused one."""
    added, texts = tokenizer.added_tokens_decoder, {i: text for text, i in tokenizer.get_vocab().items()}
    found = [(f"[PAD{i}]", TokenType.UNUSED) for i in range(size)]
    for i in sorted(texts.keys() & set(range(size))):
        text, kind = texts[i], TokenType.NORMAL
        if i in added:
            kind = TokenType.CONTROL if added[i].special else TokenType.USER_DEFINED
            if kind == TokenType.USER_DEFINED and sentencepiece:  # llama.cpp looks for these in the text itself
                text = text.replace(SPACE, " ")
        elif sentencepiece and _BYTE.fullmatch(text):
            kind = TokenType.BYTE
        found[i] = (text, kind)
    return [text for text, _ in found], [kind for _, kind in found]


def _add_special(writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase) -> None:
    for kind in ("bos", "eos", "unk", "pad"):
        known = getattr(tokenizer, f"{kind}_token_id")
        if known is not None:
            getattr(writer, f"add_{kind}_token_id")(known)
    ids = tokenizer("a").input_ids
    writer.add_add_bos_token(ids[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(ids[-1] == tokenizer.eos_token_id)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)


def _split_name(pre_tokenizer: Mapping[str, Any]) -> str:
    """Return llama.cpp's name for the rule by which text is split before merging; InputError if it has none."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"] and steps[0]["use_regex"]:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"]:
        return "smollm"
    if kinds == ["Split", "ByteLevel"]:
        split = steps[0]["pattern"].get("Regex")
        for name, known in GGUF_PRE_TOKENIZER_SPLITS.items():
            if known == split:
                return name
    raise InputError(f"llama.cpp has no name for the way this tokenizer splits text ({', '.join(kinds)}).")
