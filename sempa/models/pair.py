"""One set of weights under two names: `base` with the adapter off, `sempa` with it on."""

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Self

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from sempa.config import DEFAULT_BASE, VARIANTS, EncoderConfig
from sempa.errors import InputError, SempaError
from sempa.models.adapters import ADAPTER_NAME, AdapterInfo, attach_adapter
from sempa.models.conversions import converted
from sempa.models.fast.adapter_switch import AdapterSwitch
from sempa.models.fast.allocator import keep_freed_memory
from sempa.models.fast.attention import eager_attention
from sempa.models.fast.prepacked import prepack
from sempa.models.load import Report, read_weights
from sempa.models.precision import Precision, choose_precision
from sempa.models.prefix_cache import REFUSALS, PrefixCache, agreement, expand_prefix, prefix_length, read_prefix
from sempa.models.prompts import stop_ids
from sempa.models.sharding import held_here
from sempa.models.source import locate, log
from sempa.models.workers import Workers

BASE, SEMPA = VARIANTS
PROBE = "A prefix, and the row after it."
"""Text to test whether rows after a cached prefix get the states of complete rows."""
CPU_TOKENS, GPU_TOKENS = 512, 4_096
"""Tokens per forward: what the caches of a CPU hold, and what fills a GPU with a large model."""
CPU_SCORES = 2**26
"""Vocabulary scores per forward on a CPU, where each core holds its own: 256 MiB in float32."""
LAUNCH_BOUND = 4e12
"""Tokens times parameters (an estimate) below which launching the kernels takes longer than computing."""
BYTES_PER_STATE, BYTES_PER_SCORE = 34, 16
"""Memory kept for the gradient: per number of a state, layer and token in bfloat16 (source: Korthikanti et al. 2022),
and per score of the vocabulary, which has a logarithm and two gradients."""
UNEMBEDDED = 256
"""States whose scores over the vocabulary are held at once."""


@dataclass(frozen=True)
class BaseInfo:
    """The base model's name and how it runs; `sharded` weights are spread over several processes."""

    name: str
    revision: str | None
    precision: Precision
    parameters: int
    sharded: bool = False


class ModelPair:
    """One causal language model with or without an adapter, for use from many threads.

    The adapter switch is global state of the model, so every forward runs under one lock, from setting the switch to
    the last layer. Every method that computes takes the variant by name.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        info: BaseInfo,
        adapter: AdapterInfo | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.info = info
        self.adapter = adapter
        self._model = model
        if isinstance(model, PeftModel):
            self._switch = AdapterSwitch(model)
        self._adapter_name = adapter.adapter_name if adapter else ADAPTER_NAME
        self.workers = Workers(self.device, in_turn=info.sharded)
        self._lock = threading.RLock()

    @classmethod
    def open(
        cls,
        base: str = DEFAULT_BASE,
        adapter: str | None = None,
        *,
        revision: str | None = None,
        precision: str = "auto",
        device: str = "auto",
        sharded: bool = False,
        report: Report = log.info,
    ) -> Self:
        """Load a base model by name, folder, GGUF file or hub id, and an adapter by folder or hub id.

        `sharded` spreads the weights over the processes launched together; all of them then compute in step.
        Raises: ModelUnavailable for the base, AdapterMismatch or StorageError for the adapter, InputError for the
        precision or device.
        """
        chosen = choose_precision(precision, device)
        source = converted(locate(base, revision, report), chosen, report)
        report(f"Loading {source.name} in {chosen}.")
        model, tokenizer = read_weights(source, chosen, sharded=sharded)
        if model.device.type == "cpu":
            eager_attention(model)
        if sharded:
            report(f"{held_here(model):,} of its {model.num_parameters():,} weights are held in each process.")
        info = BaseInfo(source.name, source.revision or source.fingerprint, chosen, model.num_parameters(), sharded)
        if adapter is None:
            return cls(model, tokenizer, info)
        tuned, adapter_info = attach_adapter(model, adapter, source.name)
        return cls(tuned, tokenizer, info, adapter_info)

    def for_inference(self) -> Self:
        """Prepare the weights for this machine's fastest multiplication and return the pair; not for training."""
        prepack(self._model)
        if self.device.type == "cpu":
            keep_freed_memory()
        return self

    def with_adapter(self, adapter: str) -> Self:
        """Load another adapter onto the same weights and return the pair of both; weights and lock are shared.

        Raises: InputError if there is no adapter yet; what `open` raises for an adapter.
        """
        self._require(SEMPA)
        with self._lock:
            # PEFT finds adapters by substring: no name may be part of another.
            adapter_name = f"further-{len(self._model.peft_config):03}"
            try:
                _, info = attach_adapter(self._model, adapter, self.info.name, adapter_name)
            except SempaError:
                if adapter_name in self._model.peft_config:
                    self._model.delete_adapter(adapter_name)
                raise
            finally:
                self._switch.find_layers()
        other = copy.copy(self)
        other.adapter, other._adapter_name = info, adapter_name
        return other

    @property
    def device(self) -> torch.device:
        """Return the device the weights are on."""
        return self._model.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the number format of the base weights."""
        return self.info.precision.dtype

    @property
    def width(self) -> int:
        """Return D, the length of a state."""
        return int(self._model.config.hidden_size)

    @property
    def vocabulary(self) -> int:
        """Return V, the number of unembedding scores per state."""
        return int(self._model.get_output_embeddings().out_features)

    @property
    def forward_tokens(self) -> int:
        """Return how many tokens to put in one forward: few on a CPU, many on a GPU, within half its free memory."""
        if self.device.type != "cuda":
            return CPU_TOKENS
        free, total = torch.cuda.mem_get_info(self.device)
        if self.info.sharded:  # all processes run equally many forwards, but free memory differs between cards
            free = total // 2
        kept = self.layers * self.width * BYTES_PER_STATE + self.vocabulary * BYTES_PER_SCORE
        return max(CPU_TOKENS, min(max(GPU_TOKENS, int(LAUNCH_BOUND / self.info.parameters)), free // 2 // kept))

    def scored_tokens(self, most: int) -> int:
        """Return how many tokens to score over the vocabulary in one forward: `most`, or fewer on a CPU."""
        return most if self.device.type != "cpu" else min(most, max(1, CPU_SCORES // self.vocabulary))

    def is_launch_bound(self, tokens: int) -> bool:
        """Return whether launching its kernels, not computing, takes the time of a pass over so many tokens."""
        return self.device.type == "cuda" and tokens * self.info.parameters <= LAUNCH_BOUND

    @property
    def layers(self) -> int:
        """Return the number of decoder layers."""
        return int(self._model.config.num_hidden_layers)

    @property
    def context_length(self) -> int | None:
        """Return the model's maximum number of tokens, or None if its configuration does not say."""
        return getattr(self._model.config, "max_position_embeddings", None)

    @property
    def sliding_window(self) -> int | None:
        """Return how many places back a token sees in layers with a sliding window, or None."""
        return getattr(self._model.config, "sliding_window", None)

    @property
    def variants(self) -> tuple[str, ...]:
        """Return the available variants: both, or only base without an adapter."""
        return VARIANTS if isinstance(self._model, PeftModel) else (BASE,)

    @property
    def peft(self) -> PeftModel:
        """Return PEFT's model of base and adapter; InputError without an adapter."""
        self._require(SEMPA)
        return self._model

    @property
    def adapter_parameters(self) -> int:
        """Return how many parameters the adapter adds, 0 without one."""
        mine = f".{self._adapter_name}."
        return sum(p.numel() for name, p in self._model.named_parameters() if "lora_" in name and mine in name)

    @property
    def stop_ids(self) -> frozenset[int]:
        """Return every token id that ends an answer."""
        return stop_ids(self.tokenizer, getattr(self._model.generation_config, "eos_token_id", None))

    def recipe(self, variant: str, like: EncoderConfig) -> EncoderConfig:
        """Return the recipe `like` with this pair's base model, four bits named, and the variant's adapter hash."""
        self._require(variant)
        adapter = self.adapter.sha256 if self.adapter and variant == SEMPA else None
        name = self.info.name + (" in 4 bits" if self.info.precision.four_bit else "")
        return replace(like, base_model=name, base_revision=self.info.revision, adapter=adapter)

    @contextmanager
    def using(self, variant: str) -> Iterator[PreTrainedModel]:
        """Lock the model as one variant until the block ends; yields the causal language model itself.

        Raises: InputError for an unknown variant.
        """
        self._require(variant)
        with self._lock:
            if not isinstance(self._model, PeftModel):
                yield self._model
            elif variant == BASE:
                with self._switch.off():
                    yield self._model.get_base_model()
            else:
                if self._model.active_adapter != self._adapter_name:
                    self._model.set_adapter(self._adapter_name, inference_mode=True)
                with self._switch.on(self._adapter_name):
                    yield self._model.get_base_model()

    def hidden_states(self, variant: str, input_ids: Tensor, attention_mask: Tensor, layer: int = -1) -> Tensor:
        """Return one layer's states (B, T, D) of right-padded rows: see `each_hidden_states`."""
        return next(self.each_hidden_states(variant, [(input_ids, attention_mask)], layer))

    def each_hidden_states(
        self, variant: str, batches: Sequence[tuple[Tensor, Tensor]], layer: int = -1, prefix: PrefixCache = ()
    ) -> Iterator[Tensor]:
        """Yield one layer's states (B, T, D) of each batch: (B, T) ids of right-padded rows and their mask.

        Rows that lack `prefix` (from `prefix_cache`, of the same variant) are read as if it stood before each. The LM
        head is not run. Layer -1 is the last, after the final norm. The model is held until the last batch.
        Raises: InputError for a layer the model does not have.
        """
        self.require_layer(layer)
        with self.using(variant) as model:
            yield from self.workers.map(partial(self._states, model, layer, prefix), batches)

    def prefix_cache(self, variant: str, ids: Sequence[int]) -> PrefixCache:
        """Return one variant's keys and values for the token ids that many rows begin with."""
        with self.using(variant) as model, torch.no_grad():
            return read_prefix(model, ids)

    @cached_property
    def supports_prefix(self) -> bool:
        """Whether rows after a cached prefix get the states of complete rows; measured once, on a few tokens."""
        if self.info.sharded:
            return False
        ids = torch.tensor([self.tokenizer(PROBE).input_ids])
        complete = self.hidden_states(BASE, ids, torch.ones_like(ids))[:, 1:]
        rest = ids[:, 1:]
        try:
            prefix = self.prefix_cache(BASE, ids[0, :1].tolist())
            found = next(self.each_hidden_states(BASE, [(rest, torch.ones_like(rest))], prefix=prefix))
        except REFUSALS:
            return False
        return bool((complete - found).abs().max() < agreement(self.dtype) * complete.abs().max())

    def each_alone(self, rows: Sequence[Tensor], layer: int = -1) -> Iterator[Tensor]:
        """Yield a known layer's states (V, T, D) of each (1, T) row of ids, computed alone, under all V variants.

        If the adapter allows, one pass reads both variants: a third less time than two passes.
        """
        if len(self.variants) == 1 or not self._switch.mixes:
            batches = [(row, torch.ones_like(row)) for row in rows]
            each = [list(self.each_hidden_states(variant, batches, layer)) for variant in self.variants]
            yield from map(torch.cat, zip(*each, strict=True))
            return
        both = [row.repeat(len(VARIANTS), 1) for row in rows]
        batches = [(ids, torch.ones_like(ids)) for ids in both]
        with self._lock, self._switch.mixed(self._adapter_name, [variant == SEMPA for variant in VARIANTS]):
            yield from self.workers.map(partial(self._states, self._model.get_base_model(), layer, ()), batches)

    @torch.no_grad()  # layers gathered in inference mode could not be gathered for training any more
    def _states(self, model: PreTrainedModel, layer: int, prefix: PrefixCache, batch: tuple[Tensor, Tensor]) -> Tensor:
        input_ids, mask = batch
        options: dict[str, object] = {"use_cache": False, "output_hidden_states": layer != -1}
        if prefix:
            rows, length = input_ids.shape
            before = prefix_length(prefix)
            places = torch.arange(before, before + length, device=self.device).expand(rows, -1)
            options |= {"use_cache": True, "cache": expand_prefix(prefix, rows), "position_ids": places}
            mask = torch.cat([mask.new_ones(rows, before), mask], dim=1)
        out = model.base_model(input_ids=input_ids.to(self.device), attention_mask=mask.to(self.device), **options)
        states: Tensor = out.last_hidden_state if layer == -1 else out.hidden_states[layer]
        return states

    @torch.inference_mode()
    def top_tokens(self, variant: str, states: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the k largest unembedding scores of (N, D) last-layer states and their token ids, (N, k) both."""
        with self.using(variant) as model:
            unembed = model.get_output_embeddings()
            scores = [unembed(part.to(self.device, self.dtype)).float().topk(k) for part in states.split(UNEMBEDDED)]
        return torch.cat([s.values.cpu() for s in scores]), torch.cat([s.indices.cpu() for s in scores])

    @torch.inference_mode()
    def next_logits(self, variants: Sequence[str], input_ids: Tensor, cache: DynamicCache) -> Tensor:
        """Feed (B, T) ids to one variant per row, in one pass, and return (B, V) float32 logits; `cache` grows by T."""
        for variant in set(variants):
            self._require(variant)
        options: dict[str, object] = {"cache": cache, "use_cache": True, "logits_to_keep": 1}
        ids = input_ids.to(self.device)
        if len(set(variants)) == 1:
            with self.using(variants[0]) as model:
                return model(input_ids=ids, **options).logits[:, -1].float()
        with self._lock, self._switch.mixed(self._adapter_name, [variant == SEMPA for variant in variants]) as mixing:
            return self._model(input_ids=ids, **options, **mixing).logits[:, -1].float()

    def require_layer(self, layer: int) -> None:
        """Raise InputError for a layer the model does not have."""
        most = self.layers
        if not -most - 1 <= layer <= most:
            raise InputError(f"There is no layer {layer}: {self.info.name} has layers {-most - 1} to {most}.")

    def _require(self, variant: str) -> None:
        if variant not in self.variants:
            known = " and ".join(self.variants)
            raise InputError(f"There is no model {variant!r} here, only {known}: load an adapter with --adapter.")
