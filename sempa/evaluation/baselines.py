"""Other sentence embedding methods, as baselines on the same data."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.embedding.encoder import Encoder
from sempa.evaluation.judge import open_judge
from sempa.evaluation.result_cache import cached_rows
from sempa.models.batching import length_batches, right_padded
from sempa.models.pair import BASE, SEMPA
from sempa.models.prompts import padding_id

Rows = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Rows]

ONE_EXAMPLE = (
    'This sentence : "Two riders race their horses along the beach." means in one word:"Riding".'
    'This sentence : "{sentence}" means in one word:"'
)
"""PromptEOL with one in-context example, as in Jiang et al. 2023; the example is our own."""

_METHODS = {
    "mean pooling": {"template": "plain", "pooling": "mean"},
    "last token, no prompt": {"template": "plain"},
    "PromptEOL": {"template": "prompteol"},
    "PromptEOL, one example": {"template": ONE_EXAMPLE},
    "Pretended CoT": {"template": "cot"},
    "Knowledge": {"template": "knowledge"},
}
ECHO = "Rewrite the sentence: {sentence}, rewritten sentence: "


def baselines(encoder: Encoder, also: Sequence[Encoder] = ()) -> dict[str, Callable[[], Encode]]:
    """Return each method by name, as a function that loads an encoder of N sentences to (N, D) unit rows.

    All use the base model, with two exceptions: PromptEOL with the adapters of `encoder` and `also`, and
    all-MiniLM-L6-v2, a common embedding model that was trained on a billion pairs and cannot generate text.
    Sources: Jiang et al. 2023 (PromptEOL, example); Zhang et al. 2024 (Pretended CoT, Knowledge); Springer et al. 2024
    (Echo).
    """
    made: dict[str, Callable[[], Encode]] = {
        f"base, {name}": functools.partial(_embed, encoder, BASE, **how) for name, how in _METHODS.items()
    }
    made["base, Echo"] = lambda: functools.partial(_echo, encoder)
    for each in (encoder, *also):
        if each.pair.adapter:
            made[f"{each.pair.adapter.name}, PromptEOL"] = functools.partial(_embed, each, SEMPA, template="prompteol")
    made["all-MiniLM-L6-v2"] = open_judge
    return made


def _embed(encoder: Encoder, variant: str, **how: str) -> Encode:
    config = replace(EncoderConfig(), **how)  # type: ignore[arg-type]  # _METHODS sets only its str fields
    return functools.partial(cached_rows, Encoder(encoder.pair, config), variant)


def _echo(encoder: Encoder, sentences: Sequence[str]) -> Rows:
    """Embed with Echo: repeat a sentence and average the repetition's states, which see the complete sentence."""
    pair = encoder.pair
    rows: list[tuple[list[int], int]] = []
    for sentence in sentences:
        first = list(pair.tokenizer(ECHO.replace("{sentence}", sentence)).input_ids)
        again = list(pair.tokenizer(sentence, add_special_tokens=False).input_ids)
        rows.append((first + again, len(first)))
    out = np.empty((len(rows), pair.width), dtype=np.float32)
    groups = length_batches([len(ids) for ids, _ in rows], pair.forward_tokens)
    pad = padding_id(pair.tokenizer)
    batches = [right_padded([rows[i][0] for i in group], pad) for group in groups]
    for group, states in zip(groups, pair.each_hidden_states(BASE, batches), strict=True):
        for i, row in zip(group, states.float().cpu(), strict=True):
            ids, start = rows[i]
            out[i] = row[start : len(ids)].mean(dim=0).numpy()
    return _unit(out)


def _unit(rows: Rows) -> Rows:
    unit: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
