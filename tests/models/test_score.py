"""Scores of continuations against one sequence at a time."""

from collections.abc import Callable

import pytest
import torch

from sempa.models.pair import ModelPair
from sempa.models.score import Request, continuation_scores

REQUESTS: list[Request] = [
    ((1, 2, 3), (4, 5)),
    ((1, 2, 3), (6,)),
    ((9,), (7, 7, 7, 7)),
    ((1, 2, 3), (4, 5)),
    ((1, 2), (3, 4, 5)),
]


@pytest.mark.parametrize("variant", ["base", "sempa"])
def test_scores_are_those_of_separate_sequences(tuned_pair: ModelPair, variant: str) -> None:
    progress: list[tuple[int, int]] = []
    scores = continuation_scores(tuned_pair, variant, REQUESTS, lambda *done: progress.append(done))
    for (context, continuation), (logp, greedy) in zip(REQUESTS, scores, strict=True):
        with torch.no_grad(), tuned_pair.using(variant) as model:
            logits = model(torch.tensor([[*context, *continuation]]), use_cache=False).logits[0]
        rows = torch.log_softmax(logits, dim=-1)[len(context) - 1 : -1]
        targets = torch.tensor(continuation)
        assert logp == pytest.approx(rows.gather(-1, targets.unsqueeze(-1)).sum().item(), abs=1e-4)
        assert greedy == bool((rows.argmax(-1) == targets).all())
    assert scores[0] == scores[3]
    assert progress[-1][0] == progress[-1][1]


def test_what_greedy_decoding_writes_is_called_greedy(tiny_pair: ModelPair) -> None:
    ids = [5, 6, 7]
    with torch.no_grad(), tiny_pair.using("base") as model:
        for _ in range(4):
            ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    written = tuple(ids[3:])
    wrong = (*written[:-1], (written[-1] + 1) % 256)
    scores = continuation_scores(tiny_pair, "base", [((5, 6, 7), written), ((5, 6, 7), wrong)])
    assert [greedy for _, greedy in scores] == [True, False]
    assert scores[0][0] > scores[1][0]


def test_long_continuations_of_one_context_do_not_share_a_row(
    make_pair: Callable[..., ModelPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when every document's first window starts from the same token: one row of all would be quadratic."""
    monkeypatch.setattr("sempa.models.score.TOKEN_CAP", 50)
    pair = make_pair()
    longest = 0
    forward = pair._model.base_model.forward

    def record(*args: object, input_ids: torch.Tensor, **options: object) -> object:
        nonlocal longest
        longest = max(longest, input_ids.shape[1])
        return forward(*args, input_ids=input_ids, **options)

    monkeypatch.setattr(pair._model.base_model, "forward", record)
    requests = [((1,), tuple(range(40 + i))) for i in range(5)]
    together = continuation_scores(pair, "base", requests)
    assert longest <= 45
    assert together == [pytest.approx(continuation_scores(pair, "base", [r])[0], abs=1e-4) for r in requests]


def test_nothing_to_score_is_nothing(tiny_pair: ModelPair) -> None:
    assert continuation_scores(tiny_pair, "base", []) == []
