"""The stream of steps: start, reproducibility, end, and resuming after an interruption."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from sempa.config import TrainConfig
from sempa.errors import InputError, SempaError, StorageError
from sempa.files import sha256_of
from sempa.models.pair import ModelPair
from sempa.models.rows import PairIds
from sempa.training.examples import Example
from sempa.training.loop import TrainStep, learning_rate, sample_order, train
from sempa.training.objectives import Objective
from sempa.training.policy import PolicyModel
from sempa.training.run_folder import RunFolder

LN2 = math.log(2)
CONFIG = TrainConfig(batch_size=4, max_samples=96, evaluate_every=32, lr=2e-3, lora_dropout=0.1, token_cap=200)
"""24 steps, scored after 8, 16 and 24; dropout, so that random numbers matter."""

THREE_STEPS = replace(CONFIG, batch_size=32)
"""Each step is scored."""

MakePair = Callable[..., ModelPair]


def _examples(count: int = 20) -> list[Example]:
    generator = torch.Generator().manual_seed(8)

    def ids(most: int) -> tuple[int, ...]:
        length = int(torch.randint(1, most, (1,), generator=generator))
        return tuple(torch.randint(0, 256, (length,), generator=generator).tolist())

    return [Example(PairIds((70, 71, 72, *ids(12)), ((*ids(9), 257), (*ids(9), 257)))) for _ in range(count)]


@pytest.fixture(scope="module")
def whole(make_pair: MakePair, tmp_path_factory: pytest.TempPathFactory) -> "_Session":
    """Return an uninterrupted run."""
    session = _Session(make_pair, tmp_path_factory.mktemp("whole") / "run")
    session.seen = list(session.steps)
    return session


class _Session:
    """Hold the objects of one process: an opened run folder, a loaded model, and a score of it."""

    begun: ClassVar[dict[Path, RunFolder]] = {}

    def __init__(self, make_pair: MakePair, output: Path, config: TrainConfig = CONFIG, resume: bool = False) -> None:
        self.run = RunFolder.open(output, {}, resume=resume)
        if resume:
            self.begun[output].release()  # as if its process had ended
        self.run.begin({})
        self.begun[output] = self.run
        self.model = PolicyModel(make_pair(num_hidden_layers=1), config)
        self.scored = 0
        self.seen: list[TrainStep] = []
        self.steps = train(self.model, _examples(), config, self.run, self._score)

    def _score(self) -> float:
        self.scored += 1
        ids = torch.arange(60, 90).unsqueeze(0)
        return float(self.model.pair.hidden_states("sempa", ids, torch.ones_like(ids))[0, -1, 0])

    def log(self) -> list[dict[str, Any]]:
        return [{key: value for key, value in line.items() if key != "seconds"} for line in self.run.lines()]

    def adapters(self) -> dict[str, str]:
        """Return the hash of every adapter kept so far, by folder."""
        kept = self.run.partial.glob("scored/*")
        return {folder.name: sha256_of(folder / "adapter_model.safetensors") for folder in kept}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_step_0_of_a_fresh_adapter_is_ln_2(
    make_pair: MakePair, tmp_path: Path, architecture: str, dtype: torch.dtype
) -> None:
    """Also for GPT-2 and OPT, whose own dropout would make policy and reference differ."""
    run = RunFolder.open(tmp_path / "run", {}, resume=False)
    run.begin({})
    model = PolicyModel(make_pair(architecture, dtype=dtype), CONFIG)
    step = next(train(model, _examples(), CONFIG, run, lambda: 0.0))
    assert step.metrics["loss"] == pytest.approx(LN2, abs=2e-6)
    assert step.metrics["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert step.metrics["logps/chosen"] < 0


def test_training_lowers_the_loss_and_keeps_the_base(make_pair: MakePair, whole: _Session) -> None:
    base = dict(PolicyModel(make_pair(num_hidden_layers=1), CONFIG).peft.named_parameters())
    losses = [step.metrics["loss"] for step in whole.seen]
    assert sum(losses[-5:]) / 5 < LN2 - 0.1
    for name, weight in whole.model.peft.named_parameters():
        if "lora_" not in name:
            assert torch.equal(weight, base[name]), name


def test_the_same_seed_gives_the_same_run(make_pair: MakePair, tmp_path: Path, whole: _Session) -> None:
    again = _Session(make_pair, tmp_path / "again")
    list(again.steps)
    assert again.log() == whole.log()
    assert again.adapters() == whole.adapters() != {}


def test_another_seed_gives_another_run(make_pair: MakePair, tmp_path: Path, whole: _Session) -> None:
    other = _Session(make_pair, tmp_path / "other", replace(CONFIG, seed=1))
    list(islice(other.steps, 3))
    assert [line["loss"] for line in other.log()] != [line["loss"] for line in whole.log()[:3]]


def test_metrics_jsonl_is_the_stream(whole: _Session) -> None:
    steps = whole.seen
    assert whole.run.lines() == [json.loads(json.dumps(step.line())) for step in steps]
    assert [step.step for step in steps] == list(range(24))
    assert [step.samples for step in steps] == [4 * (i + 1) for i in range(24)]
    assert [step.step for step in steps if step.score is not None] == [7, 15, 23]
    assert whole.scored == 3


def test_the_best_checkpoint_is_kept(make_pair: MakePair, tmp_path: Path) -> None:
    session = _Session(make_pair, tmp_path / "run")
    scores = iter([3.0, 5.0, 5.0])
    steps = list(train(session.model, _examples(), THREE_STEPS, session.run, lambda: next(scores)))
    assert [step.is_best for step in steps] == [True, True, False]
    assert set(session.adapters()) == {"000000032", "000000064"}


def test_every_scored_checkpoint_can_be_kept(make_pair: MakePair, tmp_path: Path) -> None:
    session = _Session(make_pair, tmp_path / "run")
    session.run.keep_checkpoints = True
    scores = iter([5.0, 3.0, 4.0])
    steps = list(train(session.model, _examples(), THREE_STEPS, session.run, lambda: next(scores)))
    assert [step.is_best for step in steps] == [True, False, False]
    assert len(set(session.adapters().values())) == 3


def test_a_resumed_run_knows_the_best_score_so_far(make_pair: MakePair, tmp_path: Path) -> None:
    for score, take in ((5.0, 9), (3.0, 24)):
        session = _Session(make_pair, tmp_path / "run", resume=take == 24)
        steps = list(islice(train(session.model, _examples(), CONFIG, session.run, lambda score=score: score), take))
    assert [(step.score, step.is_best) for step in steps if step.score is not None] == [(3.0, False)] * 2
    assert set(session.adapters()) == {"000000032"}


@pytest.mark.parametrize("after", [1, 8, 11, 24])
def test_resumed_runs_end_bit_identical(make_pair: MakePair, tmp_path: Path, whole: _Session, after: int) -> None:
    """Interrupted before the first checkpoint, at one, between two, and after the last step."""
    broken = _Session(make_pair, tmp_path / "broken")
    list(islice(broken.steps, after))
    broken.steps.close()  # type: ignore[attr-defined]
    resumed = _Session(make_pair, tmp_path / "broken", resume=True)
    steps = list(resumed.steps)
    assert steps == [] if after == 24 else steps[-1].step == 23
    assert resumed.log() == whole.log()
    assert resumed.adapters() == whole.adapters()
    for name, weight in whole.model.trainable.items():
        assert torch.equal(weight, resumed.model.trainable[name]), name


def test_a_full_disk_stops_with_a_sentence_and_can_be_resumed(
    make_pair: MakePair, tmp_path: Path, whole: _Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _Session(make_pair, tmp_path / "run")
    list(islice(session.steps, 12))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("sempa.training.run_folder.save_file", refuse)
        with pytest.raises(StorageError, match="step 16 could not be written .*No space left"):
            list(session.steps)
    resumed = _Session(make_pair, tmp_path / "run", resume=True)
    assert next(iter(resumed.steps)).step == 10
    list(resumed.steps)
    assert resumed.log() == whole.log()


def test_stopping_early_is_the_start_of_the_long_run(make_pair: MakePair, tmp_path: Path) -> None:
    """`stop_after` ends the training, not the schedule."""
    config = replace(CONFIG, evaluate_every=1000)
    long = _Session(make_pair, tmp_path / "long", config)
    steps = list(islice(long.steps, 5))
    short = list(_Session(make_pair, tmp_path / "short", replace(config, stop_after=18)).steps)
    assert [replace(s, seconds=0, steps=0, score=None, is_best=False) for s in short] == [
        replace(s, seconds=0, steps=0) for s in steps
    ]
    assert (short[-1].steps, short[-1].samples) == (5, 20)
    assert [step.score is not None for step in short] == [False] * 4 + [True]


def test_a_step_takes_the_pairs_the_order_names(
    make_pair: MakePair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Example] = []

    def record(_: object, examples: list[Example]) -> dict[str, float]:
        seen.extend(examples)
        raise KeyboardInterrupt

    monkeypatch.setattr("sempa.training.loop.Objective.backward", record)
    with pytest.raises(KeyboardInterrupt):
        next(iter(_Session(make_pair, tmp_path / "run", replace(CONFIG, batch_size=7)).steps))
    assert seen == [_examples()[row] for row in sample_order(20, 96, CONFIG.seed)[:7]]


def test_a_loss_that_is_not_finite_stops_naming_the_rows(make_pair: MakePair, tmp_path: Path) -> None:
    session = _Session(make_pair, tmp_path / "run")
    list(islice(session.steps, 2))
    next(iter(session.model.trainable.values())).data[0, 0] = math.nan
    rows = sorted(sample_order(20, 96, CONFIG.seed)[8:12])
    with pytest.raises(SempaError) as caught:
        list(session.steps)
    assert "The loss at step 2 is nan (it began at 0.6931): training stopped" in str(caught.value)
    assert f"{rows}" in str(caught.value)
    assert len(session.run.lines()) == 2


@pytest.mark.parametrize(("scale", "says"), [(math.inf, "The gradient at step 2 is"), (1e4, "The loss at step 2 is")])
def test_what_explodes_stops_before_it_is_learned_from(
    make_pair: MakePair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float, says: str
) -> None:
    session = _Session(make_pair, tmp_path / "run")
    list(islice(session.steps, 2))
    before = {name: weight.detach().clone() for name, weight in session.model.trainable.items()}
    backward = Objective.backward

    def exploding(self: Objective, examples: Sequence[Example]) -> dict[str, float]:
        metrics = backward(self, examples)
        for weight in session.model.trainable.values():
            weight.grad *= scale
        return metrics | ({"loss": metrics["loss"] * scale} if math.isfinite(scale) else {})

    monkeypatch.setattr(Objective, "backward", exploding)
    with pytest.raises(SempaError, match=says):
        list(session.steps)
    assert all(torch.equal(weight, before[name]) for name, weight in session.model.trainable.items())


def test_no_pairs_is_an_input_error(make_pair: MakePair, tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path / "run", {}, resume=False)
    with pytest.raises(InputError, match="no pairs to train on"):
        next(train(PolicyModel(make_pair(), CONFIG), [], CONFIG, run, lambda: 0.0))


def test_learning_rates_by_hand() -> None:
    """100 steps, warm-up 5: a fifth of the peak each; then cosine, half-way at step 52 or 53, the last just above 0."""
    config = TrainConfig(lr=1.0, warmup_ratio=0.05)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert (rates[52] + rates[53]) / 2 == pytest.approx(0.5)
    assert rates[99] == pytest.approx((1 + math.cos(math.pi * 94 / 95)) / 2)
    assert all(a > b for a, b in pairwise(rates[5:]))
    assert learning_rate(0, 1, replace(config, warmup_ratio=0.0)) == 1.0
    assert learning_rate(0, 1, config) == 1.0


def test_sample_order_is_whole_shuffled_epochs() -> None:
    order = sample_order(10, 25, seed=3)
    assert len(order) == 25
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10] != order[10:20] != list(range(10))
    assert len(set(order[20:])) == 5
    assert sample_order(10, 12, seed=3) == order[:12]
    assert sample_order(10, 25, seed=4) != order


def test_a_step_without_a_score_leaves_it_out_of_its_line() -> None:
    step = TrainStep(0, 1, 4, 1.23456, {"loss": 0.5})
    assert step.line() == {"step": 0, "samples": 4, "seconds": 1.235, "loss": 0.5}
    assert replace(step, score=7.0).line()["score"] == 7.0
