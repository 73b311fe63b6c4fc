"""Greedy answers in batches equal those written one by one, and know whether they ended."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sempa.errors import InputError
from sempa.models.completing import CPU_ROWS, complete
from sempa.models.pair import ModelPair
from sempa.models.prompts import request_ids
from sempa.models.tuning import TuningModel

REQUESTS = [f"Say {word}" for word in ("a", "something rather longer, please", "bb", "", "ccc ccc")] * 4


def _one_by_one(pair: ModelPair, variant: str, request: str, most: int) -> tuple[list[int], bool]:
    """Return an answer's ids by feeding everything anew for each token, without a cache or padding."""
    ids = request_ids(pair.tokenizer, request)
    start = len(ids)
    with pair.using(variant) as model, torch.inference_mode():
        for _ in range(most):
            token = int(model(torch.tensor([ids])).logits[0, -1].argmax())
            if token in pair.stop_ids:
                return ids[start:], True
            ids.append(token)
    return ids[start:], False


@pytest.mark.parametrize("variant", ["base", "sempa"])
def test_answers_equal_those_fed_one_by_one(
    architecture: str,
    variant: str,
    tmp_path: Path,
    save_model: Callable[..., Path],
    make_tuning: Callable[..., TuningModel],
) -> None:
    folder = save_model(tmp_path / "base", architecture)
    pair = make_tuning(ModelPair.open(str(folder), precision="float32", device="cpu")).pair
    assert len(REQUESTS) > CPU_ROWS
    for most in (1, 12):
        answers = complete(pair, variant, REQUESTS, most)
        expected = [_one_by_one(pair, variant, request, most) for request in REQUESTS]
        assert [answer.ended for answer in answers] == [ended for _, ended in expected]
        texts = [pair.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids, _ in expected]
        assert [answer.text for answer in answers] == texts


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
