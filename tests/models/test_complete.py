"""Greedy answers in batches equal those generated one by one, and report whether they ended."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sempa.errors import InputError
from sempa.models.complete import CPU_ROWS, LONG_PREFIX, complete
from sempa.models.fast import attention
from sempa.models.fast.attention import EAGER, FUSED
from sempa.models.pair import ModelPair
from sempa.models.prefix_cache import common_prefix
from sempa.models.prompts import request_ids
from sempa.training.policy import PolicyModel

REQUESTS = [f"Say {word}" for word in ("a", "something rather longer, please", "bb", "", "ccc ccc")] * 4


def _one_by_one(pair: ModelPair, variant: str, request: str, most: int) -> tuple[list[int], bool]:
    """Return an answer's ids, feeding the full sequence for each token, without a cache or padding."""
    ids = request_ids(pair.tokenizer, request)
    start = len(ids)
    with pair.using(variant) as model, torch.inference_mode():
        for _ in range(most):
            token = int(model(torch.tensor([ids])).logits[0, -1].argmax())
            if token in pair.stop_ids:
                return ids[start:], True
            ids.append(token)
    return ids[start:], False


def _expected(pair: ModelPair, variant: str, requests: list[str], most: int) -> list[tuple[str, bool]]:
    """Return each answer's text, fed one by one, and whether the model ended it."""
    written = [_one_by_one(pair, variant, request, most) for request in requests]
    return [(pair.tokenizer.decode(ids, skip_special_tokens=True).strip(), ended) for ids, ended in written]


@pytest.mark.parametrize("variant", ["base", "sempa"])
def test_answers_equal_those_fed_one_by_one(
    architecture: str,
    variant: str,
    tmp_path: Path,
    save_model: Callable[..., Path],
    make_tuning: Callable[..., PolicyModel],
) -> None:
    folder = save_model(tmp_path / "base", architecture)
    pair = make_tuning(ModelPair.open(str(folder), precision="float32", device="cpu")).pair
    assert len(REQUESTS) > CPU_ROWS
    for most in (1, 12):
        answers = complete(pair, variant, REQUESTS, most)
        assert [(answer.text, answer.ended) for answer in answers] == _expected(pair, variant, REQUESTS, most)


def _noted(pair: ModelPair) -> list[tuple[int, str]]:
    """Return a list that records the tokens of every later forward and its attention implementation."""
    noted: list[tuple[int, str]] = []
    with pair.using("base") as model:
        model.get_input_embeddings().register_forward_hook(
            lambda _, given, __: noted.append((given[0].numel(), model.config._attn_implementation))
        )
    return noted


@pytest.mark.parametrize("variant", ["base", "sempa"])
def test_worked_examples_before_every_request_are_read_once(
    architecture: str,
    variant: str,
    tmp_path: Path,
    save_model: Callable[..., Path],
    make_tuning: Callable[..., PolicyModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attention, "LONG", LONG_PREFIX)
    folder = save_model(tmp_path / "base", architecture)
    pair = make_tuning(ModelPair.open(str(folder), precision="float32", device="cpu")).pair
    assert pair.supports_prefix
    requests = ["Worked examples. " * 10 + request for request in REQUESTS]
    prompts = [request_ids(pair.tokenizer, request) for request in requests]
    prefix = len(common_prefix(prompts))
    assert prefix >= LONG_PREFIX
    expected = _expected(pair, variant, requests, 4)
    noted = _noted(pair)
    answers = complete(pair, variant, requests, 4)
    assert [(answer.text, answer.ended) for answer in answers] == expected
    longest = max(map(len, prompts)) - prefix
    assert sum(tokens for tokens, _ in noted) <= prefix + len(prompts) * (longest + 3)
    assert {way for _, way in noted[1:]} == {FUSED}
    with pair.using(variant) as model:
        assert model.config._attn_implementation == EAGER


@pytest.mark.parametrize(("window", "alone"), [(4096, False), (150, True)])
def test_a_window_that_would_count_padding_is_given_whole_rows(
    window: int, alone: bool, tmp_path: Path, save_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "LONG", LONG_PREFIX)
    folder = save_model(
        tmp_path / "base", "mistral", sliding_window=window, intermediate_size=48, num_key_value_heads=2
    )
    pair = ModelPair.open(str(folder), precision="float32", device="cpu")
    requests = ["Worked examples. " * 10 + request for request in REQUESTS]
    lengths = [len(request_ids(pair.tokenizer, request)) for request in requests]
    expected = _expected(pair, "base", requests, 4)
    noted = _noted(pair)
    answers = complete(pair, "base", requests, 4)
    assert [(answer.text, answer.ended) for answer in answers] == expected
    assert (sum(tokens for tokens, _ in noted) >= sum(lengths)) == alone


def test_an_answer_that_ends_says_so(tiny_pair: ModelPair) -> None:
    (first,) = complete(tiny_pair, "base", ["Say a"], 1)
    assert not first.ended
    token = _one_by_one(tiny_pair, "base", "Say a", 1)[0][0]
    tiny_pair.tokenizer.eos_token = tiny_pair.tokenizer.convert_ids_to_tokens(token)
    (again,) = complete(tiny_pair, "base", ["Say a"], 5)
    assert (again.text, again.ended) == ("", True)


def test_an_unknown_model_is_refused(tiny_pair: ModelPair) -> None:
    with pytest.raises(InputError, match="There is no model 'sempa'"):
        complete(tiny_pair, "sempa", ["a"], 1)
