"""Steps replayed from CUDA graphs against the same steps computed eagerly."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from sempa.config import TrainConfig
from sempa.data.triplets import Triplet
from sempa.models.fast import cuda_graphs as replay
from sempa.models.fast.cuda_graphs import CudaGraphs
from sempa.models.pair import ModelPair
from sempa.training.examples import tokenize
from sempa.training.objectives import Objective
from sempa.training.policy import PolicyModel
from sempa.training.preferences import preferences

MakePair = Callable[..., ModelPair]
MakeTuning = Callable[..., PolicyModel]

STEPS = 4
TRIPLETS = [Triplet(f"A cat sat on mat {i}.", f"A cat was {'so ' * i}tired.", f"Mat {i} was empty.") for i in range(10)]
"""Two alternating steps of different lengths."""
CONFIG = TrainConfig(objective="joint", tau=0.2, token_cap=10_000, rpo_alpha=0.3, kl_weight=0.5, batch_size=5)


class OnCpu(replay.Recording):
    """Stand in for a CUDA graph: recompute the first call's function on its static inputs."""

    def __init__(self, function: replay.Call, inputs: Sequence[Tensor], pool: object) -> None:
        self._inputs = [x.clone() for x in inputs]
        self._outputs = function(*self._inputs)

        def compute() -> None:
            for place, x in zip(self._outputs, function(*self._inputs), strict=True):
                place.copy_(x)

        self._graph = SimpleNamespace(replay=compute)


def _steps(
    make_tuning: MakeTuning, pair: ModelPair, config: TrainConfig
) -> tuple[Objective, list[dict[str, float]], list[dict[str, Tensor]]]:
    """Return metrics and gradients of steps, with weights changed in between as by an optimiser."""
    tuning = make_tuning(pair, config)
    examples, _ = tokenize(pair.tokenizer, preferences(TRIPLETS, config), config.max_length)
    objective = Objective(tuning, examples, config)
    every_metrics, every_gradients = [], []
    generator = torch.Generator().manual_seed(3)
    for step in range(STEPS):
        every_metrics.append(objective.backward(examples[5 * (step % 2) : 5 * (step % 2) + 5]))
        every_gradients.append(
            {name: p.grad.cpu().clone() for name, p in tuning.trainable.items() if p.grad is not None}
        )
        tuning.peft.zero_grad(set_to_none=True)
        for weight in tuning.trainable.values():
            weight.data += 0.02 * torch.randn(weight.shape, generator=generator).to(weight.device)
    return objective, every_metrics, every_gradients


@pytest.mark.parametrize("objective", ["joint"])
@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_replayed_steps_are_the_steps(
    make_tuning: MakeTuning, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch, device: str, objective: str
) -> None:
    config = replace(CONFIG, objective=objective)

    def pair() -> ModelPair:
        made = make_pair()
        with made.using("base") as model:
            model.to(device)
        return ModelPair(model, made.tokenizer, made.info)

    monkeypatch.setattr(ModelPair, "is_launch_bound", lambda *_: False)
    plain, *expected = _steps(make_tuning, pair(), config)
    assert not any(reader.uses_cuda_graphs for reader in plain.readers)
    monkeypatch.setattr(ModelPair, "is_launch_bound", lambda *_: True)
    if device == "cpu":
        monkeypatch.setattr(replay, "Recording", OnCpu)
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    objective_, *found = _steps(make_tuning, pair(), config)
    for reader in objective_.readers:
        assert reader.uses_cuda_graphs
        assert reader._cuda_graphs is not None
        assert any(reader._cuda_graphs._recorded.values())
        assert reader._cuda_graphs._possible
    for expected_metrics, metrics in zip(expected[0], found[0], strict=True):
        assert metrics == pytest.approx(expected_metrics, rel=1e-4, abs=1e-5)
    for expected_gradients, gradients in zip(expected[1], found[1], strict=True):
        assert set(gradients) == set(expected_gradients) != set()
        for name, gradient in expected_gradients.items():
            assert gradient.norm() > 0, name
            assert (gradients[name] - gradient).norm() <= 2e-5 * gradient.norm(), name


def test_shapes_are_recorded_the_second_time_and_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(OnCpu):
        def __init__(self, function: replay.Call, inputs: Sequence[Tensor], pool: object) -> None:
            super().__init__(function, inputs, pool)
            made.append(inputs[0].shape)

    monkeypatch.setattr(replay, "Recording", Counted)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    replays = CudaGraphs()
    for length in [1, 1, 1, *range(2, 30), 29, 29]:
        x = torch.arange(float(length))
        (found,) = replays.call("double", lambda x: (2 * x,), x)
        assert torch.equal(found, 2 * x)
    assert made == [(1,)]
    assert len(replays._recorded) == replay.MOST


def test_what_cannot_be_recorded_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refused(*_: object) -> None:
        tried.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(replay, "Recording", refused)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    replays = CudaGraphs()
    for _ in range(4):
        (found,) = replays.call("double", lambda x: (2 * x,), torch.ones(3))
        assert found.tolist() == [2, 2, 2]
    assert tried == [1]


def test_recordings_make_way_when_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "Recording", OnCpu)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    replays = CudaGraphs()

    def large(x: Tensor) -> tuple[Tensor]:
        if replays._recorded:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return (3 * x,)

    for _ in range(2):
        replays.call("double", lambda x: (2 * x,), torch.ones(3))
    assert any(replays._recorded.values())
    for _ in range(3):
        assert replays.call("large", large, torch.ones(3))[0].tolist() == [3, 3, 3]
    assert replays._recorded == {}


def test_an_error_of_the_pass_itself_is_raised() -> None:
    def wrong(_: Tensor) -> tuple[Tensor]:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        CudaGraphs().call("wrong", wrong, torch.ones(3))
