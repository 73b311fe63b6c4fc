"""Greedy answers to many requests, several at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from sempa.models.packing import pack
from sempa.models.pair import ModelPair
from sempa.models.prompts import padding_id, request_ids

CPU_ROWS, GPU_ROWS = 16, 64
"""Requests answered together: a step for so many costs little more than a step for one."""


@dataclass(frozen=True)
class Completion:
    """Hold an answer and whether the model ended it by itself."""

    text: str
    ended: bool


def complete(pair: ModelPair, variant: str, requests: Sequence[str], max_new_tokens: int) -> list[Completion]:
    """Return one variant's likeliest answer to each request, in order, edges stripped: see `complete_ids`."""
    prompts = [request_ids(pair.tokenizer, request) for request in requests]
    return [replace(c, text=c.text.strip()) for c in complete_ids(pair, variant, prompts, max_new_tokens)]


def complete_ids(
    pair: ModelPair, variant: str, prompts: Sequence[Sequence[int]], max_new_tokens: int, stops: Sequence[str] = ()
) -> list[Completion]:
    """Return one variant's likeliest continuation of each prompt, in order, by transformers' own generation.

    Writing ends at the model's own end, and soon after one of the texts `stops`, which is left in.
    In bfloat16 an answer may hang on its neighbours in the batch where two tokens are almost equally likely.
    Raises: InputError for a variant that is not there.
    """
    until = {"stop_strings": list(stops), "tokenizer": pair.tokenizer} if stops else {}
    done: list[Completion | None] = [None] * len(prompts)
    order = [i for group in pack([len(ids) for ids in prompts], 0) for i in group]  # rows of like length together
    pad = padding_id(pair.tokenizer)
    together = CPU_ROWS if pair.device.type == "cpu" else GPU_ROWS
    for rows in (order[i : i + together] for i in range(0, len(order), together)):
        longest = max(len(prompts[row]) for row in rows)
        # Padding stands on the left, where generation needs it; it also counts positions from the mask.
        ids = torch.tensor([[*[pad] * (longest - len(prompts[row])), *prompts[row]] for row in rows])
        mask = torch.tensor([[0] * (longest - len(prompts[row])) + [1] * len(prompts[row]) for row in rows])
        with pair.using(variant) as model, torch.inference_mode():
            written = model.generate(
                input_ids=ids.to(pair.device),
                attention_mask=mask.to(pair.device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=sorted(pair.stop_ids),
                pad_token_id=pad,
                **until,
            )[:, longest:]
        for row, answer in zip(rows, written.tolist(), strict=True):
            done[row] = _completion(pair, answer)
    return [completion for completion in done if completion is not None]


def _completion(pair: ModelPair, ids: list[int]) -> Completion:
    end = next((place for place, token in enumerate(ids) if token in pair.stop_ids), None)
    return Completion(pair.tokenizer.decode(ids[:end], skip_special_tokens=True), end is not None)
