"""Prefix cache: the keys and values of a common prefix, computed once for all rows."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

PrefixCache = Sequence[tuple[Tensor, Tensor]]
"""Keys and values (1, heads, H, width) of a prefix of H tokens, layer by layer; empty without a prefix."""

REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, IndexError)
"""Errors of a model whose forward does not accept such a cache, mask or positions."""


def common_prefix(prompts: Sequence[tuple[int, ...]] | Sequence[list[int]]) -> Sequence[int]:
    """Return the token ids every prompt starts with, leaving at least one token of each prompt."""
    first, last = min(prompts), max(prompts)
    length = 0
    most = min(map(len, prompts)) - 1
    while length < most and first[length] == last[length]:
        length += 1
    return first[:length]


def read_prefix(model: PreTrainedModel, ids: Sequence[int]) -> PrefixCache:
    """Return the keys and values of a prefix's token ids, gradients allowed."""
    if not ids:
        return ()
    cache = DynamicCache()
    model.base_model(input_ids=torch.tensor([ids], device=model.device), cache=cache, use_cache=True)
    return [(layer.keys, layer.values) for layer in cache.layers]


def expand_prefix(prefix: PrefixCache, rows: int) -> DynamicCache:
    """Return a cache with the prefix before each of `rows` rows."""
    cache = DynamicCache()
    for index, (keys, values) in enumerate(prefix):
        cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), index)
    return cache


def prefix_length(prefix: PrefixCache) -> int:
    """Return H, the length of a prefix in tokens."""
    return prefix[0][0].shape[2] if prefix else 0


def agreement(dtype: torch.dtype) -> float:
    """Return the relative difference allowed between two ways to read the same rows; a wrong mask exceeds it."""
    return 1e-3 if dtype == torch.float32 else 0.05
