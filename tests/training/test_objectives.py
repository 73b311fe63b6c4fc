"""Contrastive, joint, listwise and KL losses against naive references: one sequence at a time, full model."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sempa.config import TrainConfig
from sempa.data.triplets import Triplet
from sempa.errors import InputError
from sempa.models.pair import ModelPair
from sempa.models.row_reader import RowReader
from sempa.training import objectives as passes
from sempa.training.examples import Example, tokenize
from sempa.training.objectives import Objective, PreferencePass
from sempa.training.policy import PolicyModel
from sempa.training.preferences import preferences
from sempa.training.regularisation import ANCHORS_PER_ROW, EVERY

MakePair = Callable[..., ModelPair]
MakeTuning = Callable[..., PolicyModel]

TRIPLETS = [
    Triplet("A cat sat on the mat.", "A cat was sitting.", "The mat was empty.", "The cat was tired."),
    Triplet("Two men are talking.", "People talk.", "Nobody says a single word to anybody.", "They are old friends."),
    Triplet("A cat sat on the mat.", "There is a cat.", "A dog sat.", "It is Monday."),
    Triplet('She said "no".', "She refused.", "She agreed at once, gladly.", "She was angry."),
    Triplet("It rained, é.", "Rain fell.", "The sun shone.", "It was a storm."),
]
"""The first and third share their anchor."""
CONFIG = TrainConfig(objective="contrastive", tau=0.2, token_cap=200)


def _setting(
    make_tuning: MakeTuning, make_pair: MakePair, config: TrainConfig, architecture: str = "llama"
) -> tuple[PolicyModel, list[Example]]:
    tuning = make_tuning(make_pair(architecture), config)
    examples, too_long = tokenize(tuning.pair.tokenizer, preferences(TRIPLETS, config), config.max_length)
    assert too_long == []
    return tuning, examples


def _gradients(tuning: PolicyModel) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in tuning.trainable.items() if p.grad is not None}
    tuning.peft.zero_grad(set_to_none=True)
    return found


def _same(found: dict[str, Tensor], expected: dict[str, Tensor], bound: float = 1e-5) -> None:
    assert set(found) == set(expected) != set()
    for name, gradient in expected.items():
        assert gradient.norm() > 0, name
        assert (found[name] - gradient).norm() <= bound * gradient.norm(), name


def _naive_contrastive(
    tuning: PolicyModel, examples: list[Example], tau: float, triplets: Sequence[Triplet] = TRIPLETS
) -> Tensor:
    """Each sentence in a forward of its own; a loop over anchors, positives of the same anchor left out."""
    decoder = tuning.peft.get_base_model().base_model

    def read(prompt: tuple[int, ...]) -> Tensor:
        return F.normalize(decoder(torch.tensor([prompt]), use_cache=False).last_hidden_state[0, -1], dim=0)

    rows = [[read(sentence.prompt) for sentence in example.sentences] for example in examples]
    losses = []
    for i, (anchor, positive, _) in enumerate(rows):
        others = [rows[j][1] for j in range(len(rows)) if j != i and triplets[j].anchor != triplets[i].anchor] + [
            row[2] for row in rows
        ]
        scores = torch.stack([anchor @ candidate for candidate in (positive, *others)]) / tau
        losses.append(-torch.log_softmax(scores, dim=0)[0])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("shared", [True, False], ids=["shared prefix", "plain rows"])
def test_contrastive_is_exact(
    make_tuning: MakeTuning, make_pair: MakePair, architecture: str, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shared:
        monkeypatch.setattr(RowReader, "_shared_rows_agree", lambda *_: False)
    tuning, examples = _setting(make_tuning, make_pair, CONFIG, architecture)
    objective = Objective(tuning, examples, CONFIG)
    assert ("shared prefix" in objective.layouts[0]) is shared
    metrics = objective.backward(examples)
    found = _gradients(tuning)
    loss = _naive_contrastive(tuning, examples, CONFIG.tau)
    loss.backward()
    assert metrics["loss"] == metrics["contrastive/loss"] == pytest.approx(loss.item(), rel=1e-5)
    _same(found, _gradients(tuning), 2e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_reading_twice_gives_what_keeping_activations_gives(
    make_tuning: MakeTuning, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch, dropout: float
) -> None:
    """With dropout too: the second pass draws the same random numbers."""
    config = replace(CONFIG, lora_dropout=dropout)
    results = []
    for held in (10_000, 0):
        monkeypatch.setattr(passes, "held_tokens", lambda *_, held=held: held)
        tuning, examples = _setting(make_tuning, make_pair, config)
        torch.manual_seed(5)
        metrics = Objective(tuning, examples, config).backward(examples)
        results.append((metrics, _gradients(tuning)))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    _same(results[0][1], results[1][1], 1e-6)


def test_a_token_cap_bounds_what_is_kept_too(make_tuning: MakeTuning, make_pair: MakePair) -> None:
    tuning, examples = _setting(make_tuning, make_pair, CONFIG)
    for cap, tokens in ((64, 64), (20_000, 20_000), (None, passes.HELD_TOKENS)):
        config = replace(CONFIG, token_cap=cap)
        reader = RowReader(tuning.pair, [p for e in examples for p in e.sentences], logits=False, token_cap=cap)
        assert passes.held_tokens(config, reader) == tokens


def test_one_anchor_in_two_forms_is_one_anchor(make_tuning: MakeTuning, make_pair: MakePair) -> None:
    """Raw or tokenised: another triplet's positive of the same anchor is not a negative."""
    same = [Triplet("Don't run.", f"Walk {i}.", f"Run {i}.") for i in range(6)]
    config = replace(CONFIG, tokenised_share=0.5)
    shown = preferences(same, config)
    assert len({one.sentences[0] for one in shown}) == 2
    tuning = make_tuning(make_pair(), config)
    examples, _ = tokenize(tuning.pair.tokenizer, shown, config.max_length)
    metrics = Objective(tuning, examples, config).backward(examples)
    expected = _naive_contrastive(tuning, examples, CONFIG.tau, same).item()
    assert metrics["contrastive/loss"] == pytest.approx(expected, rel=1e-5)


def test_text_that_is_held_to_fits_the_model(make_tuning: MakeTuning, make_pair: MakePair) -> None:
    """Anchors joined into one text would exceed GPT-2's positions."""
    long = [
        Triplet(f"{i} " + "Rain fell on it. " * 10, "Rain fell.", "It was dry.") for i in range(EVERY * ANCHORS_PER_ROW)
    ]
    config = replace(CONFIG, kl_weight=1.0)
    tuning = make_tuning(make_pair("gpt2"), config)
    examples, _ = tokenize(tuning.pair.tokenizer, preferences(long, config), config.max_length)
    together = sum(len(example.text) for example in examples[::EVERY])
    assert together > tuning.pair.context_length == 1024
    metrics = Objective(tuning, examples, config).backward(examples)
    assert 0 < metrics["kl/divergence"] < 10


@pytest.mark.parametrize("objective", ["dpo", "joint"])
def test_workers_change_nothing(make_tuning: MakeTuning, make_pair: MakePair, objective: str) -> None:
    """Two threads or one, to the bit: gradients are summed in the batches' order."""
    results = []
    for count in (1, 2, 2):
        config = replace(CONFIG, objective=objective, token_cap=80, kl_weight=0.5)
        tuning, examples = _setting(make_tuning, make_pair, config)
        tuning.pair.workers.count = count
        metrics = Objective(tuning, examples, config).backward(examples)
        results.append((metrics, _gradients(tuning)))
    for metrics, gradients in results[1:]:
        assert metrics == results[0][0]
        assert all(torch.equal(gradients[name], gradient) for name, gradient in results[0][1].items())


def test_joint_is_the_weighted_sum(make_tuning: MakeTuning, make_pair: MakePair) -> None:
    joint = replace(CONFIG, objective="joint", contrastive_weight=0.7)
    tuning, examples = _setting(make_tuning, make_pair, joint)
    metrics = Objective(tuning, examples, joint).backward(examples)
    found = _gradients(tuning)
    parts = []
    for objective in ("dpo", "contrastive"):
        loss = Objective(tuning, examples, replace(joint, objective=objective)).backward(examples)["loss"]
        parts.append((loss, _gradients(tuning)))
    assert metrics["loss"] == pytest.approx(parts[0][0] + 0.7 * parts[1][0], rel=1e-6)
    _same(found, {name: g + 0.7 * parts[1][1][name] for name, g in parts[0][1].items()}, 1e-6)


def test_listwise_ranks_the_neutral_between(make_tuning: MakeTuning, make_pair: MakePair) -> None:
    """The loss by hand from the rewards: -ln of entailment first among three, then neutral first among two."""
    config = replace(CONFIG, objective="listwise", beta=0.3)
    tuning, examples = _setting(make_tuning, make_pair, config)
    pairs = [e.pair for e in examples if e.pair]
    assert [len(pair.responses) for pair in pairs] == [3] * 5
    metrics = PreferencePass(tuning, pairs, config).backward(pairs)
    losses = []
    for pair in pairs:
        rewards = []
        for response in pair.responses:
            ids = torch.tensor([[*pair.prompt, *response]])
            logps = []
            for on in (True, False):
                with torch.no_grad(), tuning.pair.using("sempa" if on else "base") as model:
                    row = torch.log_softmax(model(ids, use_cache=False).logits[0].float(), dim=-1)
                start = len(pair.prompt) - 1
                logps.append(sum(row[start + i, token].item() for i, token in enumerate(response)))
            rewards.append(0.3 * (logps[0] - logps[1]))
        first, second, third = torch.tensor(rewards, dtype=torch.float64).exp()
        losses.append(-(first / (first + second + third)).log() - (second / (second + third)).log())
    assert metrics["preference/loss"] == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_kept_text_is_exact(make_tuning: MakeTuning, make_pair: MakePair, architecture: str) -> None:
    config = replace(CONFIG, kl_weight=0.5, kl_text_share=0.25, tau=1e4)  # tau so high that cosines hardly count
    tuning, examples = _setting(make_tuning, make_pair, config, architecture)
    metrics = Objective(tuning, examples, config).backward(examples)
    found = _gradients(tuning)
    texts = [e.text for e in examples[::EVERY]]
    assert 1 < len(texts) <= ANCHORS_PER_ROW
    ids = torch.tensor([[256, *(i for text in texts for i in text)]])
    logps = {}
    for variant in ("base", "sempa"):
        with tuning.pair.using(variant) as model:
            logps[variant] = torch.log_softmax(model(ids, use_cache=False).logits[0, :-1].float(), dim=-1)
    divergence = (logps["base"].exp() * (logps["base"] - logps["sempa"])).sum(-1).mean()
    text = -logps["sempa"].gather(-1, ids[0, 1:, None]).mean()
    loss = 0.75 * divergence + 0.25 * text
    assert metrics["kl/divergence"] == pytest.approx(divergence.item(), rel=1e-5)
    assert metrics["kl/loss"] == pytest.approx(loss.item(), rel=1e-5)
    (0.5 * loss).backward()
    expected = _gradients(tuning)
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() <= 2e-3 * gradient.norm(), name


def test_listwise_without_neutrals_says_how_to_give_them() -> None:
    with pytest.raises(InputError, match="give them with --neutrals"):
        preferences([Triplet("a", "b", "c")], replace(CONFIG, objective="listwise"))
