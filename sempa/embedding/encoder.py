"""Sentences to unit rows, by a one-word prompt and one state of the decoder."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from sempa.config import DEFAULT_BASE, EncoderConfig
from sempa.embedding.postprocess import Postprocess
from sempa.errors import InputError, StorageError
from sempa.models.batching import length_batches, right_padded
from sempa.models.pair import BASE, SEMPA, Layers, ModelPair
from sempa.models.prefix_cache import PrefixCache, common_prefix, prefix_length
from sempa.models.prompts import padding_id
from sempa.templates import SentenceTemplate, tidy_sentence

log = logging.getLogger(__name__)

Rows = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Receives (sentences done, sentences in all)."""

MANY = 8
"""Sentences from which it pays to compute what all prompts begin with once, and no more with each."""


class Encoder:
    """Read sentence embeddings off either variant of a ModelPair, by one recipe."""

    def __init__(
        self, pair: ModelPair, config: EncoderConfig | None = None, postprocess: Postprocess | None = None
    ) -> None:
        """Take the recipe of `config`, or of the pair's adapter, or the paper's.

        Statistics the recipe names are read from the adapter's folder unless given.
        Raises: InputError if the template leaves no room for a sentence; StorageError if statistics are missing.
        """
        if config is None:
            known = pair.adapter.recipe if pair.adapter else None
            config = known.encoder if known else EncoderConfig()
        if postprocess is None and config.postprocess is not None:
            postprocess = _saved_statistics(pair, config.postprocess)
        self.pair = pair
        self.config = replace(config, postprocess=postprocess.sha256 if postprocess else None)
        self.postprocess = postprocess
        self._template = SentenceTemplate.embedding(config.template)
        self.limit = min(config.max_length, pair.context_length or config.max_length)
        """Tokens of the longest prompt that is read whole."""
        self._require_fit()

    def _require_fit(self) -> None:
        frame, layers = len(self._ids(self._template.render(""))), self.pair.layers
        if frame >= self.limit:
            raise InputError(
                f"A prompt may have {self.limit} tokens, but the template alone takes {frame}: raise max_length or "
                f"choose a shorter template."
            )
        if not -layers - 1 <= self.config.layer <= layers:
            raise InputError(
                f"The recipe reads layer {self.config.layer}, but {self.pair.info.name} has {layers} layers: choose "
                f"{-layers - 1} to {layers}."
            )

    @classmethod
    def default(cls, base: str = DEFAULT_BASE, adapter: str | None = None) -> Self:
        """Open the default model with the shipped adapter, or those named.

        Raises: what ModelPair.open raises.
        """
        from sempa.models.adapters import shipped_adapters

        return cls(ModelPair.open(base, adapter or next(iter(shipped_adapters(base)), None)).for_inference())

    @property
    def variants(self) -> tuple[str, ...]:
        """Return the names that can be asked for."""
        return self.pair.variants

    @property
    def best_variant(self) -> str:
        """Return `sempa` where there is an adapter, else `base`."""
        return SEMPA if SEMPA in self.variants else BASE

    def recipe(self, variant: str) -> EncoderConfig:
        """Return the complete recipe of one model's vectors, adapter and statistics hashes filled in."""
        return self.pair.recipe(variant, self.config)

    @cached_property
    def recipes(self) -> dict[str, EncoderConfig]:
        """Return the recipe of each model's vectors."""
        return {variant: self.recipe(variant) for variant in self.variants}

    def encode(
        self, sentences: Sequence[str], variant: str | None = None, *, progress: Progress | None = None, first: int = 0
    ) -> Rows:
        """Return the embeddings of N sentences as (N, D) unit float32 rows, in order.

        `variant` is "base" or "sempa" (default: the best there is). `first` is the number messages give the first
        sentence. Sentences are computed in batches, so in bfloat16 a vector depends a little on its neighbours (a
        cosine by up to 0.01, in float32 by 1e-5); see `encode_each`.
        Raises: InputError, with the row number, for an empty or non-string sentence, or a vector that is not finite.
        """
        variant = variant or self.best_variant
        return self._unit(self.states(sentences, variant, progress=progress, first=first), variant)

    def encode_each(self, sentences: Sequence[str]) -> dict[str, Rows]:
        """Return every model's embeddings of N sentences as (N, D) unit float32 rows, each computed by itself.

        A vector does not depend on its neighbours. All models share one pass: faster than `encode` for few sentences.
        Raises: what `encode` raises.
        """
        prompts = [torch.tensor([self._prompt(text, row)]) for row, text in enumerate(_checked(sentences))]
        rows = np.zeros((len(self.variants), len(prompts), self.width), np.float32)
        for row, states in enumerate(self.pair.each_alone(prompts, self.config.layer)):
            pooled = states.float().mean(1) if self.config.pooling == "mean" else states[:, -1].float()
            rows[:, row] = pooled.cpu().numpy()
        return {variant: self._unit(rows[number], variant) for number, variant in enumerate(self.variants)}

    def _unit(self, states: Rows, variant: str) -> Rows:
        """Return (N, D) states as unit rows, post-processed if the recipe says so."""
        rows = states if self.postprocess is None else self.postprocess.apply(states, variant)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.ascontiguousarray(rows / np.maximum(norms, 1e-12), dtype=np.float32)

    def states(
        self, sentences: Sequence[str], variant: str, *, progress: Progress | None = None, first: int = 0
    ) -> Rows:
        """Return (N, D) float32 states as the decoder gives them: not of unit length, no post-processing.

        Raises: InputError, with the row number, for an empty or non-string sentence.
        """
        found = self._gathered(sentences, variant, self.config.layer, progress, first)
        return np.stack(found) if found else np.zeros((0, self.width), dtype=np.float32)

    def layer_states(self, sentences: Sequence[str], variant: str, layers: Sequence[int]) -> dict[int, Rows]:
        """Return what `states` would of each of some layers, of one pass over the sentences.

        Raises: what `states` raises; InputError for a layer the model does not have.
        """
        found = self._gathered(sentences, variant, tuple(layers))
        return {layer: np.stack([row[place] for row in found]) for place, layer in enumerate(layers)}

    def _gathered(
        self,
        sentences: Sequence[str],
        variant: str,
        layer: Layers,
        progress: Progress | None = None,
        first: int = 0,
    ) -> list[Rows]:
        """Return each sentence's state, (D,) of one layer or (L, D) of several."""
        prompts = [self._prompt(sentence, row) for row, sentence in enumerate(_checked(sentences), first)]
        out: list[Rows | None] = [None] * len(prompts)
        prefix: PrefixCache = ()
        if len(prompts) >= MANY and self.config.pooling == "last" and self.pair.supports_prefix:
            prefix = self.pair.prefix_cache(variant, common_prefix(prompts))
            prompts = [ids[prefix_length(prefix) :] for ids in prompts]
        done = 0
        groups = length_batches([len(ids) for ids in prompts], self.pair.forward_tokens)
        together = 4 * self.pair.workers.count  # then other visitors get their turn
        for held in (groups[i : i + together] for i in range(0, len(groups), together)):
            rows = [row for group in held for row in group]
            for row, vector in zip(
                rows, self._read([[prompts[i] for i in g] for g in held], variant, layer, prefix), strict=True
            ):
                out[row] = vector
            done += len(rows)
            if progress:
                progress(done, len(prompts))
        return [row for row in out if row is not None]

    def aligned_tokens(self, sentences: Sequence[str], variant: str, k: int) -> list[list[tuple[str, float]]]:
        """Return, for each sentence, the k vocabulary items the model would most likely say at the state it is read at.

        Each is (text, unembedding score), best first. Raises: InputError where another layer or the mean is read.
        """
        return self.tokens_at(self.states(sentences, variant), variant, k)

    def tokens_at(self, states: Rows, variant: str, k: int) -> list[list[tuple[str, float]]]:
        """Return what `aligned_tokens` does of (N, D) states that were read before; of unit rows, the same tokens.

        Raises: InputError where another layer or the mean is read.
        """
        if self.config.layer not in (-1, self.pair.layers) or self.config.pooling != "last":
            raise InputError("Aligned tokens are those of the last token's state after the last layer.")
        scores, ids = self.pair.top_tokens(variant, torch.from_numpy(states), k)
        texts = [self.pair.tokenizer.convert_ids_to_tokens(row) for row in ids.tolist()]
        decode = self.pair.tokenizer.convert_tokens_to_string
        return [
            [(decode([token]), float(score)) for token, score in zip(row, values, strict=True)]
            for row, values in zip(texts, scores.tolist(), strict=True)
        ]

    def own_tokens(self, sentence: str) -> list[str]:
        """Return a sentence's tokens as texts, special ones left out."""
        ids = self.pair.tokenizer(tidy_sentence(sentence), add_special_tokens=False).input_ids
        return [self.pair.tokenizer.decode([token]) for token in ids]

    @property
    def width(self) -> int:
        """Return D, the length of a vector."""
        return self.pair.width

    def _ids(self, text: str) -> list[int]:
        return list(self.pair.tokenizer(text).input_ids)

    def _prompt(self, sentence: str, row: int) -> list[int]:
        """Render a tidied sentence; one that is too long loses its end, the prompt around it stays whole."""
        tidy = tidy_sentence(sentence) if self.config.template != "plain" else sentence
        # No token is longer than 64 characters in practice; this keeps a pasted book from being tokenised whole.
        text = tidy[: self.limit * 64]
        ids = self._ids(self._template.render(text))
        shortened = len(text) < len(tidy)
        while len(ids) > self.limit:
            kept = int(len(text) * min(0.95, self.limit / len(ids)))
            text, shortened = text[:kept], True
            ids = self._ids(self._template.render(text))
        if shortened:
            log.warning("Sentence %d is longer than %d tokens: its end is left out.", row, self.limit)
        return ids

    def _read(
        self, groups: Sequence[Sequence[Sequence[int]]], variant: str, layer: Layers, prefix: PrefixCache
    ) -> list[Rows]:
        batches = [right_padded(group, padding_id(self.pair.tokenizer)) for group in groups]
        vectors: list[Rows] = []
        read = self.pair.each_hidden_states(variant, batches, layer, prefix)
        for (_, mask), out in zip(batches, read, strict=True):
            if self.config.pooling == "mean":
                weights = mask.reshape(*mask.shape, *[1] * (out.dim() - 2))
                vectors.extend(((out.float().cpu() * weights).sum(1) / weights.sum(1)).numpy())
            else:
                vectors.extend(out[torch.arange(len(mask)), mask.sum(1) - 1].float().cpu().numpy())
        return vectors


def _saved_statistics(pair: ModelPair, sha256: str) -> Postprocess:
    if pair.adapter is None:
        raise StorageError("The recipe names post-processing statistics, but there is no adapter folder to find them.")
    return Postprocess.load(pair.adapter.folder, sha256)


def _checked(sentences: Sequence[str]) -> Sequence[str]:
    if isinstance(sentences, str):
        raise InputError("encode takes a list of sentences, not one text: put it in brackets.")
    for row, sentence in enumerate(sentences):
        if not isinstance(sentence, str):
            raise InputError(f"Row {row} is {type(sentence).__name__}, not text: every sentence must be a string.")
        if not sentence.strip():
            raise InputError(f"Row {row} is empty: every sentence needs at least one word.")
    return sentences
