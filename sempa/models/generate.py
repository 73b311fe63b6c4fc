"""Both models' answers to one request, token by token, from one decoding batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from sempa.errors import InputError
from sempa.models.pair import ModelPair
from sempa.models.prompts import Request, request_ids

Texts = dict[str, list[str]]
"""The answers so far, by variant."""


@dataclass(frozen=True)
class Sampling:
    """How to sample: temperature 0 takes the most likely token, `top_p` cuts the tail, `seed` fixes the draw."""

    n: int = 1
    temperature: float = 0.7
    top_p: float = 0.9
    max_new_tokens: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("n", 1, 16), ("max_new_tokens", 1, 1024), ("seed", 0, 2**32 - 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"{name} is {value!r}: choose a whole number from {low} to {high}.")
        for name, high in (("temperature", 2), ("top_p", 1)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= high:
                raise InputError(f"{name} is {value!r}: choose 0 to {high}.")


def write(
    pair: ModelPair,
    request: Request,
    sampling: Sampling,
    variants: Sequence[str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Texts]:
    """Yield the answers of every variant after each token, `sampling.n` per variant, all from one batch.

    A variant's answers depend on the seed, not on the other variant. Computing stops once `stopped()` is true or the
    iterator is closed. The model is locked for one token at a time, so other threads get their turn in between.
    Raises: InputError for an empty request, or one longer than the model's context.
    """
    if isinstance(request, str) and not request.strip():
        raise InputError("The prompt is empty: enter some text.")
    names = list(variants or pair.variants)
    prompt = request_ids(pair.tokenizer, request)
    if (limit := pair.context_length) and len(prompt) + sampling.max_new_tokens > limit:
        raise InputError(
            f"The prompt has {len(prompt):,} tokens; with {sampling.max_new_tokens} new ones it exceeds the "
            f"model's limit of {limit:,}: shorten it."
        )
    generators = {name: torch.Generator().manual_seed(sampling.seed) for name in names}
    written: dict[str, list[list[int]]] = {name: [[] for _ in range(sampling.n)] for name in names}
    rows = [(name, i) for name in names for i in range(sampling.n)]
    cache = DynamicCache()
    fed = torch.tensor([prompt] * len(rows))
    for _ in range(sampling.max_new_tokens):
        if stopped():
            return
        logits = pair.next_logits([name for name, _ in rows], fed, cache)
        drawn = _draw(logits, rows, sampling, generators)
        going = [place for place, token in enumerate(drawn) if token not in pair.stop_ids]
        for place in going:
            name, i = rows[place]
            written[name][i].append(drawn[place])
        yield {name: [_text(pair, ids) for ids in written[name]] for name in names}
        if not going:
            return
        if len(going) < len(rows):
            cache.batch_select_indices(torch.tensor(going, device=logits.device))
            rows = [rows[place] for place in going]
        fed = torch.tensor([[drawn[place]] for place in going])


def _draw(
    logits: Tensor, rows: list[tuple[str, int]], sampling: Sampling, generators: dict[str, torch.Generator]
) -> list[int]:
    if sampling.temperature < 1e-6:  # 0, or so close to it that dividing overflows
        return [int(token) for token in logits.argmax(dim=-1)]
    probabilities = _cut_tail(torch.softmax(logits.cpu() / sampling.temperature, dim=-1), sampling.top_p)
    # A fixed number of draws per step, finished rows included, keeps each answer's random numbers its own.
    chance = {name: torch.rand(sampling.n, generator=generator) for name, generator in generators.items()}
    # Above 0, up to 1: a pick of exactly 0 would take the first token, whatever its probability.
    picks = 1 - torch.stack([chance[name][i] for name, i in rows]).unsqueeze(-1)
    cumulative = probabilities.cumsum(dim=-1)
    places = torch.searchsorted(cumulative, picks * cumulative[:, -1:])
    return [int(place) for place in places.clamp(max=logits.shape[-1] - 1)]


def _cut_tail(probabilities: Tensor, top_p: float) -> Tensor:
    """Zero what lies outside the smallest set of tokens that holds `top_p` of the probability; (B, V) both."""
    ordered, places = probabilities.sort(dim=-1, descending=True)
    outside = ordered.cumsum(dim=-1) - ordered >= top_p
    outside[:, 0] = False
    return torch.zeros_like(probabilities).scatter(-1, places, ordered.masked_fill(outside, 0))


def _text(pair: ModelPair, ids: list[int]) -> str:
    text: str = pair.tokenizer.decode(ids, skip_special_tokens=True)
    return text.removesuffix("\ufffd").strip()
