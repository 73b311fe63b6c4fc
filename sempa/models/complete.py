"""Greedy answers to many requests, several at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from sempa.models.fast.attention import fused_if_long
from sempa.models.pair import ModelPair
from sempa.models.prefix_cache import PrefixCache, common_prefix, expand_prefix, prefix_length
from sempa.models.prompts import padding_id, request_ids

CPU_ROWS, GPU_ROWS = 16, 64
"""Requests answered in one batch: a step for this many takes little longer than for one."""
LONG_PREFIX = 128
"""Minimum length of a common prefix (usually worked examples) for which a prefix cache pays off."""


@dataclass(frozen=True)
class Completion:
    """An answer, and whether the model ended it by itself."""

    text: str
    ended: bool


def complete(pair: ModelPair, variant: str, requests: Sequence[str], max_new_tokens: int) -> list[Completion]:
    """Return one variant's greedy answer to each request, in order, edges stripped: see `complete_ids`."""
    prompts = [request_ids(pair.tokenizer, request) for request in requests]
    return [replace(c, text=c.text.strip()) for c in complete_ids(pair, variant, prompts, max_new_tokens)]


def complete_ids(
    pair: ModelPair, variant: str, prompts: Sequence[Sequence[int]], max_new_tokens: int, stops: Sequence[str] = ()
) -> list[Completion]:
    """Return one variant's greedy continuation of each prompt, in order, by transformers' own generation.

    An answer ends at the model's end token, or soon after one of the texts `stops`, which stays in it. A long common
    prefix is computed once if the model supports it. In bfloat16 an answer can depend on its neighbours in the batch
    when two tokens are almost equally likely.
    Raises: InputError for an unknown variant.
    """
    until = {"stop_strings": list(stops), "tokenizer": pair.tokenizer} if stops else {}
    options = {"max_new_tokens": max_new_tokens, "do_sample": False, "eos_token_id": sorted(pair.stop_ids), **until}
    done: dict[int, Completion] = {}
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    together = CPU_ROWS if pair.device.type == "cpu" else GPU_ROWS
    pad = padding_id(pair.tokenizer)
    prefix = _prefix(pair, variant, prompts, max_new_tokens)
    for rows in (order[i : i + together] for i in range(0, len(order), together)):
        ids, mask = _laid_out([prompts[row] for row in rows], prefix_length(prefix), pad)
        with pair.using(variant) as model, fused_if_long(model, ids.shape[1]), torch.inference_mode():
            written = model.generate(
                input_ids=ids.to(pair.device),
                attention_mask=mask.to(pair.device),
                cache=expand_prefix(prefix, len(rows)) if prefix else None,
                pad_token_id=pad,
                **options,
            )[:, ids.shape[1] :]
        for row, answer in zip(rows, written.tolist(), strict=True):
            end = next((place for place, token in enumerate(answer) if token in pair.stop_ids), None)
            done[row] = Completion(pair.tokenizer.decode(answer[:end], skip_special_tokens=True), end is not None)
    return [done[row] for row in range(len(prompts))]


def _prefix(pair: ModelPair, variant: str, prompts: Sequence[Sequence[int]], most: int) -> PrefixCache:
    """Return the cache of the prompts' common prefix; empty if it is short or would not be exact."""
    ids = common_prefix([list(prompt) for prompt in prompts]) if len(prompts) > 1 else ()
    if len(ids) < LONG_PREFIX or not pair.supports_prefix:
        return ()
    # Padding comes after the prefix, where a sliding window would count it.
    if 0 < (pair.sliding_window or 0) < max(map(len, prompts)) + most:
        return ()
    return pair.prefix_cache(variant, ids)


def _laid_out(prompts: Sequence[Sequence[int]], prefix: int, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return prompts as rows with their mask, padded between the first `prefix` tokens and the rest.

    Generation needs the padding before the last tokens, and counts positions from the mask.
    """
    longest = max(map(len, prompts))
    gaps = [longest - len(prompt) for prompt in prompts]
    ids = [[*prompt[:prefix], *[pad] * gap, *prompt[prefix:]] for prompt, gap in zip(prompts, gaps, strict=True)]
    mask = [[*[1] * prefix, *[0] * gap, *[1] * (longest - gap - prefix)] for gap in gaps]
    return torch.tensor(ids), torch.tensor(mask)
