"""Run a ModelPair in EleutherAI's lm-evaluation-harness; needs the optional package `lm_eval`."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from sempa.models.complete import complete_ids
from sempa.models.pair import ModelPair
from sempa.models.prompts import first_id
from sempa.models.score import Request, continuation_scores

WINDOW = 1024
"""Tokens per window when scoring a long document."""
LONGEST = 2048
"""Context length in tokens of a model that states none, as in the harness's own models."""
ANSWER = 256
"""Answer length in tokens for a task that states none, as in the harness's own models."""


class HarnessModel(TemplateLM):  # type: ignore[misc]  # lm_eval ships no types
    """Adapt one variant of a ModelPair to the harness, without copying or reloading weights."""

    def __init__(self, pair: ModelPair, variant: str) -> None:
        super().__init__()
        self._pair, self._variant = pair, variant
        self._longest = pair.context_length or LONGEST
        self.tokenizer = pair.tokenizer

    @property
    def eot_token_id(self) -> int:
        """Return the end-of-sequence id."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """Return the beginning-of-sequence id, or else the end-of-sequence id, as the harness's own models do."""
        return first_id(self.tokenizer)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Return a text's token ids, with the tokenizer's special tokens by default."""
        return list(self.tokenizer(string, add_special_tokens=add_special_tokens is not False).input_ids)

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[tuple[str, str], list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        return continuation_scores(self._pair, self._variant, [self._cut(c, t) for _, c, t in requests])

    def _cut(self, context: Sequence[int], continuation: Sequence[int]) -> Request:
        """Drop the start of a context if context and continuation exceed the model's length, as the harness does."""
        end = tuple(continuation[-(self._longest - 1) :])
        return tuple(context[-(self._longest - len(end)) :]), end

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return each document's log-likelihood; each token is predicted once, from at most one window of context."""
        windows: list[Request] = []
        documents: list[int] = []
        for number, request in enumerate(requests):
            ids = self.tok_encode(request.args[0], add_special_tokens=False)
            for window in get_rolling_token_windows(
                token_list=ids,
                prefix_token=self.prefix_token_id,
                max_seq_len=min(WINDOW, self._longest) - 1,
                context_len=1,
            ):
                context, continuation = make_disjoint_window(window)
                windows.append((tuple(context), tuple(continuation)))
                documents.append(number)
        totals = [0.0] * len(requests)
        for number, (logp, _) in zip(documents, continuation_scores(self._pair, self._variant, windows), strict=True):
            totals[number] += logp
        return totals

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return each context's greedy continuation up to the first stop text of the task.

        Like the harness, it drops the start of a context that leaves no room for the answer.
        """
        answers: dict[int, str] = {}
        for key, group in itertools.groupby(sorted(enumerate(requests), key=_settings_of), key=_settings_of):
            options = json.loads(key)
            most, stops = options.get("max_gen_toks", ANSWER), options.get("until") or []
            stops = [stops] if isinstance(stops, str) else stops
            room = max(1, self._longest - most)
            numbers, held = zip(*group, strict=True)
            prompts = [self.tok_encode(request.args[0])[-room:] for request in held]
            for number, done in zip(
                numbers, complete_ids(self._pair, self._variant, prompts, most, stops), strict=True
            ):
                cuts = [done.text.find(stop) for stop in stops if stop and stop in done.text]
                answers[number] = done.text[: min(cuts)] if cuts else done.text
        return [answers[number] for number in range(len(requests))]


def _settings_of(numbered: tuple[int, Instance]) -> str:
    return json.dumps(numbered[1].args[1], sort_keys=True)
