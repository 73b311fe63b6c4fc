"""Sentences to unit vectors: a one-word prompt, and one hidden state of the decoder."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from sempa.config import DEFAULT_BASE, EncoderConfig
from sempa.embedding.postprocess import Postprocess
from sempa.errors import InputError, StorageError
from sempa.models.batching import length_batches, right_padded
from sempa.models.pair import ModelPair
from sempa.models.prefix_cache import PrefixCache, common_prefix, prefix_length
from sempa.models.prompts import padding_id
from sempa.templates import SentenceTemplate, tidy_sentence

log = logging.getLogger(__name__)

Rows = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Receives (done, total)."""

PREFIX_FROM = 8
"""Number of sentences from which a prefix cache pays off."""


class Encoder:
    """Embed sentences with the base or the aligned model of a ModelPair, by one recipe."""

    def __init__(
        self, pair: ModelPair, config: EncoderConfig | None = None, postprocess: Postprocess | None = None
    ) -> None:
        """Use the recipe `config`, by default the adapter's, or else the paper's.

        Post-processing statistics that it names are read from the adapter's folder unless given.
        Raises: InputError if the template leaves no room for a sentence or the layer does not exist; StorageError if
        the statistics are missing.
        """
        if config is None:
            config = pair.adapter.recipe.encoder if pair.adapter and pair.adapter.recipe else EncoderConfig()
        if postprocess is None and config.postprocess is not None:
            if pair.adapter is None:
                raise StorageError("The recipe needs post-processing statistics, but there is no adapter to hold them.")
            postprocess = Postprocess.load(pair.adapter.folder, config.postprocess)
        self.pair = pair
        self.config = replace(config, postprocess=postprocess.sha256 if postprocess else None)
        self.postprocess = postprocess
        self.variants: tuple[str, ...] = pair.variants
        """The models to choose from: "base", and "sempa" with an adapter."""
        self.recipes = {variant: self.recipe(variant) for variant in self.variants}
        """The complete recipe of each model's vectors."""
        self.width = pair.width
        """D, the length of a vector."""
        self.limit = min(config.max_length, pair.context_length or config.max_length)
        """Maximum tokens of a prompt; longer ones are shortened."""
        self._template = SentenceTemplate.embedding(config.template)
        pair.require_layer(config.layer)
        frame = len(pair.tokenizer(self._template.render("")).input_ids)
        if frame >= self.limit:
            raise InputError(
                f"A prompt may have {self.limit} tokens, but the template alone takes {frame}: raise max_length or "
                f"choose a shorter template."
            )

    @classmethod
    def default(cls, base: str = DEFAULT_BASE, adapter: str | None = None) -> Self:
        """Open a base model with an adapter, by default the shipped ones; raises what `ModelPair.open` raises."""
        from sempa.models.adapters import shipped_adapters

        return cls(ModelPair.open(base, adapter or next(iter(shipped_adapters(base)), None)).for_inference())

    @property
    def best_variant(self) -> str:
        """Return `sempa` if there is an adapter, else `base`."""
        return self.variants[-1]

    def recipe(self, variant: str) -> EncoderConfig:
        """Return the complete recipe of one model's vectors; InputError for an unknown model."""
        return self.pair.recipe(variant, self.config)

    def encode(
        self, sentences: Sequence[str], variant: str | None = None, *, progress: Progress | None = None, first: int = 0
    ) -> Rows:
        """Return the embeddings of N sentences as (N, D) unit float32 rows, in order.

        `variant` is "base" or "sempa" (default: `best_variant`). `first` is the first sentence's number in messages.
        Sentences are computed in batches, so in bfloat16 a vector depends a little on its neighbours (a cosine by up to
        0.01, in float32 by 1e-5); see `encode_each`.
        Raises: InputError, with the row number, for an empty or non-string sentence, or a vector that is not finite.
        """
        variant = variant or self.best_variant
        return self._unit(self.states(sentences, variant, progress=progress, first=first), variant, first)

    def encode_each(self, sentences: Sequence[str]) -> dict[str, Rows]:
        """Return every model's embeddings of N sentences as (N, D) unit float32 rows, each computed alone.

        A vector does not depend on its neighbours. All models share one pass: faster than `encode` for few sentences.
        Raises: what `encode` raises.
        """
        prompts = [torch.tensor([ids]) for ids in self._prompts(sentences)]
        rows = np.zeros((len(self.variants), len(prompts), self.width), np.float32)
        for row, states in enumerate(self.pair.each_alone(prompts, self.config.layer)):
            pooled = states.float().mean(1) if self.config.pooling == "mean" else states[:, -1].float()
            rows[:, row] = pooled.cpu().numpy()
        return {variant: self._unit(rows[number], variant) for number, variant in enumerate(self.variants)}

    def _unit(self, states: Rows, variant: str, first: int = 0) -> Rows:
        """Return (N, D) states as unit rows, post-processed if the recipe says so."""
        rows = states if self.postprocess is None else self.postprocess.apply(states, variant)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(norms).all():
            row = first + int(np.argmin(np.isfinite(norms)))
            raise InputError(f"The vector of row {row} under {variant} is not finite: try --precision float32.")
        return np.ascontiguousarray(rows / np.maximum(norms, 1e-12), dtype=np.float32)

    def states(
        self, sentences: Sequence[str], variant: str, *, progress: Progress | None = None, first: int = 0
    ) -> Rows:
        """Return the decoder's (N, D) float32 states: not of unit length, without post-processing.

        Raises: InputError, with the row number, for an empty or non-string sentence.
        """
        prompts = self._prompts(sentences, first)
        prefix: PrefixCache = ()
        if len(prompts) >= PREFIX_FROM and self.config.pooling == "last" and self.pair.supports_prefix:
            prefix = self.pair.prefix_cache(variant, common_prefix(prompts))
            prompts = [ids[prefix_length(prefix) :] for ids in prompts]
        pad = padding_id(self.pair.tokenizer)
        states, done = np.zeros((len(prompts), self.width), np.float32), 0
        batches = length_batches([len(ids) for ids in prompts], self.pair.forward_tokens)
        together = 4 * self.pair.workers.count  # other threads get their turn in between
        for some in (batches[at : at + together] for at in range(0, len(batches), together)):
            padded = [right_padded([prompts[row] for row in batch], pad) for batch in some]
            computed = self.pair.each_hidden_states(variant, padded, self.config.layer, prefix)
            for batch, (_, mask), hidden in zip(some, padded, computed, strict=True):
                if self.config.pooling == "mean":
                    weights = mask.unsqueeze(-1)
                    states[batch] = ((hidden.float().cpu() * weights).sum(1) / weights.sum(1)).numpy()
                else:
                    states[batch] = hidden[torch.arange(len(mask)), mask.sum(1) - 1].float().cpu().numpy()
                done += len(batch)
            if progress:
                progress(done, len(prompts))
        return states

    def top_tokens(self, states: Rows, variant: str, k: int) -> list[list[tuple[str, float]]]:
        """Return the k most likely tokens of each of (N, D) `states`: (text, unembedding score), best first.

        Unit rows give the same tokens. Raises: InputError if the recipe reads another layer than the last, or the mean.
        """
        if self.config.layer not in (-1, self.pair.layers) or self.config.pooling != "last":
            raise InputError("Aligned tokens need layer -1 and the pooling 'last'.")
        scores, ids = self.pair.top_tokens(variant, torch.from_numpy(states), k)
        texts = [self.pair.tokenizer.convert_ids_to_tokens(row) for row in ids.tolist()]
        decode = self.pair.tokenizer.convert_tokens_to_string
        return [
            [(decode([token]), float(score)) for token, score in zip(row, values, strict=True)]
            for row, values in zip(texts, scores.tolist(), strict=True)
        ]

    def own_tokens(self, sentence: str) -> list[str]:
        """Return a sentence's tokens as texts, without special ones."""
        ids = self.pair.tokenizer(tidy_sentence(sentence), add_special_tokens=False).input_ids
        return [self.pair.tokenizer.decode([token]) for token in ids]

    def _prompts(self, sentences: Sequence[str], first: int = 0) -> list[list[int]]:
        """Return each sentence's prompt as token ids; a sentence that is too long loses its end, not the template."""
        if isinstance(sentences, str):
            raise InputError("encode takes a list of sentences, not a single text: put the text in brackets.")
        tokenizer, before, after, prompts = self.pair.tokenizer, self._template.before, self._template.after, []
        for row, sentence in enumerate(sentences, first):
            if not isinstance(sentence, str):
                raise InputError(f"Row {row} is {type(sentence).__name__}, not text: every sentence must be a string.")
            if not sentence.strip():
                raise InputError(f"Row {row} is empty: every sentence needs at least one word.")
            tidy = tidy_sentence(sentence) if self.config.template != "plain" else sentence
            # No token is longer than 64 characters in practice; this avoids tokenising a pasted book completely.
            text = tidy[: self.limit * 64]
            while len(ids := list(tokenizer(f"{before}{text}{after}").input_ids)) > self.limit:
                text = text[: int(len(text) * min(0.95, self.limit / len(ids)))]
            if len(text) < len(tidy):
                log.warning("Sentence %d is longer than %d tokens: its end is cut off.", row, self.limit)
            prompts.append(ids)
        return prompts
