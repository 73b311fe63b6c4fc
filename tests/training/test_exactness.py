"""PreferencePass against a naive reference: one sequence at a time, full model and softmax, adapter off and on."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from sempa.config import TrainConfig
from sempa.models.pair import ModelPair
from sempa.models.row_reader import RowReader
from sempa.models.rows import PairIds
from sempa.training.examples import tokenize
from sempa.training.objectives import PreferencePass
from sempa.training.policy import PolicyModel
from sempa.training.preferences import Preference

PAIRS = [
    Preference('Keep: "A cat sat."', ("A cat was sitting.", "No cat.")),
    Preference('Keep: "A cat sat on the mat, é."', ("Ja.", "The mat sat on a long, long cat 😀.")),
    Preference('Keep: "B."', ("B it is.", "C")),
    Preference('Keep: "A cat sat on the mat all day, and slept."', ("A cat slept.", "A cat slept not.")),
]
BETA = 0.3

MakeTokenizer = Callable[..., PreTrainedTokenizerFast]
MakePair = Callable[..., ModelPair]
MakeTuning = Callable[..., PolicyModel]


@pytest.fixture(params=[True, False], ids=["shared rows", "plain rows"])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether pairs share rows; otherwise the probe of that layout fails, as on a model it does not suit."""
    if not request.param:
        monkeypatch.setattr(RowReader, "_shared_rows_agree", lambda *_: False)
    return bool(request.param)


def _ids(tokenizer: PreTrainedTokenizerFast) -> list[PairIds]:
    examples, too_long = tokenize(tokenizer, PAIRS, 1024)
    assert too_long == []
    return [example.pair for example in examples if example.pair]


def _naive_logp(model: torch.nn.Module, prompt: tuple[int, ...], response: tuple[int, ...]) -> Tensor:
    logits = model(input_ids=torch.tensor([[*prompt, *response]]), use_cache=False).logits[0]
    logps = torch.log_softmax(logits.float(), dim=-1)
    return torch.stack([logps[len(prompt) - 1 + i, token] for i, token in enumerate(response)]).sum()


def _naive(tuning: PolicyModel, pairs: list[PairIds], weight: float) -> tuple[float, float, dict[str, Tensor]]:
    """Return the mean DPO loss, the chosen answers' mean loss a token, and the gradients of both weighted together.

    Each sequence is in a forward of its own.
    """
    tuning.peft.zero_grad(set_to_none=True)
    losses, likelihoods = [], []
    for pair in pairs:
        with torch.no_grad(), tuning.peft.disable_adapter():
            references = [_naive_logp(tuning.peft, pair.prompt, response) for response in pair.responses]
        policies = [_naive_logp(tuning.peft, pair.prompt, response) for response in pair.responses]
        assert all((p - r).abs() > 1e-3 for p, r in zip(policies, references, strict=True))  # the adapter acts
        chosen, rejected = (BETA * (p - r) for p, r in zip(policies, references, strict=True))
        losses.append(-torch.nn.functional.logsigmoid(chosen - rejected))
        likelihoods.append(-policies[0] / len(pair.responses[0]))
    loss, likelihood = torch.stack(losses).mean(), torch.stack(likelihoods).mean()
    (loss + weight * likelihood).backward()
    return loss.item(), likelihood.item(), _gradients(tuning)


def _gradients(tuning: PolicyModel) -> dict[str, Tensor]:
    gradients = {name: p.grad.clone() for name, p in tuning.trainable.items() if p.grad is not None}
    tuning.peft.zero_grad(set_to_none=True)
    return gradients


def _compare(tuning: PolicyModel, config: TrainConfig, pairs: list[PairIds]) -> PreferencePass:
    preference = PreferencePass(tuning, pairs, config)
    metrics = preference.backward(pairs)
    found = _gradients(tuning)
    loss, likelihood, expected = _naive(tuning, pairs, config.rpo_alpha)
    assert metrics["preference/loss"] == pytest.approx(loss, rel=1e-5)
    assert metrics.get("chosen/loss") == (pytest.approx(likelihood, rel=1e-5) if config.rpo_alpha else None)
    assert set(found) == set(expected) == set(tuning.trainable)
    for name, gradient in expected.items():
        assert gradient.norm() > 0, name
        assert (found[name] - gradient).norm() <= 1e-5 * gradient.norm(), name
    return preference


def _setting(
    make_tuning: MakeTuning,
    make_pair: MakePair,
    architecture: str,
    tokenizer: PreTrainedTokenizerFast,
    **changed: object,
) -> tuple[PolicyModel, TrainConfig, list[PairIds]]:
    config = TrainConfig(beta=BETA, **{"token_cap": 400, **changed})
    tuning = make_tuning(make_pair(architecture, tokenizer), config)
    return tuning, config, _ids(tokenizer)


@pytest.mark.parametrize("chat", [False, True], ids=["no chat template", "ChatML"])
def test_every_architecture(
    make_tuning: MakeTuning, make_pair: MakePair, make_tokenizer: MakeTokenizer, architecture: str, chat: bool
) -> None:
    tokenizer = make_tokenizer(bos=not chat, chat=chat)
    preference = _compare(*_setting(make_tuning, make_pair, architecture, tokenizer))
    assert preference.reader.shared
    assert "shared prefix" in preference.reader.layout


def test_plain_rows(
    make_tuning: MakeTuning,
    make_pair: MakePair,
    make_tokenizer: MakeTokenizer,
    architecture: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RowReader, "_shared_rows_agree", lambda *_: False)
    preference = _compare(*_setting(make_tuning, make_pair, architecture, make_tokenizer()))
    assert preference.reader.layout == "plain rows, one per response"


def test_the_preferred_answers_own_likelihood(
    make_tuning: MakeTuning, make_pair: MakePair, make_tokenizer: MakeTokenizer, architecture: str, shared: bool
) -> None:
    setting = _setting(make_tuning, make_pair, architecture, make_tokenizer(), rpo_alpha=0.7, token_cap=150)
    assert len(_compare(*setting).reader.batches(setting[2])) > 1


@pytest.mark.parametrize("pad", [None, "</s>", "<s>"], ids=["no pad", "pad is eos", "pad is bos"])
def test_the_pad_token_does_not_matter(
    make_tuning: MakeTuning, make_pair: MakePair, make_tokenizer: MakeTokenizer, pad: str | None, shared: bool
) -> None:
    preference = _compare(*_setting(make_tuning, make_pair, "llama", make_tokenizer(pad=pad)))
    assert preference.reader.shared is shared


@pytest.mark.parametrize("token_cap", [1, 150, 10_000])
def test_the_token_cap_does_not_matter(
    make_tuning: MakeTuning, make_pair: MakePair, make_tokenizer: MakeTokenizer, token_cap: int, shared: bool
) -> None:
    setting = _setting(make_tuning, make_pair, "llama", make_tokenizer(chat=True), token_cap=token_cap)
    preference = _compare(*setting)
    batches = preference.reader.batches(setting[2])
    if token_cap == 1:
        assert len(batches) == 4
    if token_cap == 10_000:
        assert len(batches) == 1
    assert sorted(place for batch in batches for place in batch.order) == [0, 1, 2, 3]


def test_prompts_without_a_common_prefix(
    make_tuning: MakeTuning, make_pair: MakePair, make_tokenizer: MakeTokenizer
) -> None:
    tuning, config, _ = _setting(make_tuning, make_pair, "llama", make_tokenizer())
    pairs = [PairIds((i, 40, 41), ((50, 51, 257), (60 + i, 257))) for i in (1, 2, 3)]
    preference = _compare(tuning, config, pairs)
    assert preference.reader.shared
    assert preference.reader.layout.endswith("a shared prefix of 0 tokens")


def test_a_single_pair_and_answers_of_one_token(
    make_tuning: MakeTuning, make_pair: MakePair, make_tokenizer: MakeTokenizer
) -> None:
    tuning, config, _ = _setting(make_tuning, make_pair, "llama", make_tokenizer())
    assert _compare(tuning, config, [PairIds((1, 2, 3, 4), ((257,), (9,)))]).reader.shared


def test_the_reference_head_is_not_stale_after_an_update(
    make_tuning: MakeTuning, make_pair: MakePair, make_tokenizer: MakeTokenizer
) -> None:
    """The reference never changes, so its prefix may be cached; the policy's must be recomputed each step."""
    tuning, config, pairs = _setting(make_tuning, make_pair, "llama", make_tokenizer())
    preference = PreferencePass(tuning, pairs, config)
    preference.backward(pairs)
    for weight in tuning.trainable.values():
        weight.data.mul_(1.5)
    tuning.peft.zero_grad(set_to_none=True)
    assert preference.backward(pairs)["preference/loss"] == pytest.approx(_naive(tuning, pairs, 0.0)[0], rel=1e-5)


def test_bfloat16_stays_near_float32(
    make_tuning: MakeTuning, make_pair: MakePair, make_tokenizer: MakeTokenizer, architecture: str
) -> None:
    """bfloat16 keeps 8 bits: rewards of beta 0.3 times sums over up to 38 tokens agree to a tenth or so."""
    tokenizer, config = make_tokenizer(chat=True), TrainConfig(beta=BETA)
    pairs = _ids(tokenizer)
    exact = PreferencePass(make_tuning(make_pair(architecture, tokenizer), config), pairs, config).backward(pairs)
    tuning = make_tuning(make_pair(architecture, tokenizer, torch.bfloat16), config)
    preference = PreferencePass(tuning, pairs, config)
    rounded = preference.backward(pairs)
    assert preference.reader.shared
    for name in ("preference/loss", "rewards/margins", "rewards/chosen", "rewards/rejected"):
        assert rounded[name] == pytest.approx(exact[name], abs=0.15), name
    assert all(torch.isfinite(gradient).all() for gradient in _gradients(tuning).values())


@pytest.mark.parametrize(
    ("family", "changed"),
    [
        ("granite", {"logits_scaling": 0.5}),
        ("gemma2", {"final_logit_softcapping": 3.0}),
        ("cohere", {"logit_scale": 4.0}),
    ],
    ids=["granite", "gemma2", "cohere"],
)
def test_a_model_that_changes_its_logits_after_the_head_falls_back_and_stays_exact(
    make_tuning: MakeTuning, make_pair: MakePair, make_tokenizer: MakeTokenizer, family: str, changed: dict[str, float]
) -> None:
    """Shared rows run the LM head themselves; a trial on one pair detects that the model does more."""
    config = TrainConfig(beta=BETA)
    tokenizer = make_tokenizer()
    tuning = make_tuning(make_pair(family, tokenizer, intermediate_size=48, num_key_value_heads=2, **changed), config)
    pairs = _ids(tokenizer)
    assert not _compare(tuning, config, pairs).reader.shared
