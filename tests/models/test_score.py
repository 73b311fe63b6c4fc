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


@pytest.mark.parametrize("longest", [6, 24], ids=["within the window", "beyond it"])
def test_a_sliding_window_is_kept_to(make_pair: Callable[..., ModelPair], longest: int) -> None:
    """The first context is too short to show the difference, so measuring it alone would not find it."""
    pair = make_pair("gemma3_text", sliding_window=8, num_hidden_layers=2, layer_types=["sliding_attention"] * 2)
    requests: list[Request] = [((1, 2), (3,)), (tuple(range(longest)), (7, 8)), (tuple(range(longest)), (9,))]
    for (context, continuation), (logp, _) in zip(requests, continuation_scores(pair, "base", requests), strict=True):
        with torch.no_grad(), pair.using("base") as model:
            logits = model(torch.tensor([[*context, *continuation]]), use_cache=False).logits[0]
        rows = torch.log_softmax(logits, dim=-1)[len(context) - 1 : -1]
        assert logp == pytest.approx(rows.gather(-1, torch.tensor([continuation]).T).sum().item(), abs=1e-4)


def test_a_large_vocabulary_is_scored_for_fewer_tokens_at_once(
    tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sempa.models.pair.CPU_SCORES", 40 * tiny_pair.vocabulary)
    sizes: list[int] = []
    head = tiny_pair._model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, output: sizes.append(output[..., 0].numel()))
    continuation_scores(tiny_pair, "base", [((1, i), tuple(range(9))) for i in range(20)])
    assert max(sizes) <= 40
    monkeypatch.setattr(ModelPair, "device", property(lambda _: torch.device("cuda")))
    assert tiny_pair.scored_tokens(1024) == 1024, "a GPU's share is a matter of its free memory"


def test_nothing_to_score_is_nothing(tiny_pair: ModelPair) -> None:
    assert continuation_scores(tiny_pair, "base", []) == []
