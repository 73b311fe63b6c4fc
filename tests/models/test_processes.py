"""Two processes on one run: the same steps and the same adapter as one process, to rounding."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from safetensors.torch import load_file

from sempa.models.processes import Processes

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
"""Relative: sums of float32 in another order, followed by a few Adam steps."""


LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1"]
OPTIONS = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]


def _train(launch: list[str], base: Path, data: Path, output: Path, objective: str) -> list[dict[str, float]]:
    options = {"batch-size": 7, "max-samples": 36, "evaluate-every": 14, "lr": 0.002, "precision": "float32"}
    where = {"base": base, "data": data, "output": output, "device": "cpu", "objective": objective, "kl-weight": 1}
    flags = [str(part) for name, value in {**where, **options}.items() for part in (f"--{name}", value)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*launch, "train.py", *flags], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    assert done.stdout.count("The adapter is in") == 1
    held = re.search(r"([\d,]+) of its ([\d,]+) weights are held", done.stdout + done.stderr)
    assert ("--use_fsdp" in launch) == (held is not None)
    if held:
        here, all_of_them = (int(number.replace(",", "")) for number in held.groups())
        assert here < 0.8 * all_of_them, "embeddings and LM head stay whole, half of every layer goes"
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("shared_out", "objective"),
    [
        ("--multi_gpu", "joint"),
        pytest.param("--multi_gpu", "dpo", marks=pytest.mark.slow),
        pytest.param("--use_fsdp", "dpo", marks=pytest.mark.slow),
        pytest.param("--use_fsdp", "joint", marks=pytest.mark.slow),
    ],
)
def test_two_processes_learn_what_one_learns(
    model_folder: Path, tmp_path: Path, objective: str, shared_out: str
) -> None:
    """36 samples in steps of 7: parts differ in size, and the last step has one pair, so one process has none.

    `--multi_gpu` splits the work, `--use_fsdp` the weights too.
    """
    data = tmp_path / "triplets.csv"
    rows = "".join(f"anchor {'x' * (i % 9)} {i},b{'y' * (i % 5)} {i},other {i}\n" for i in range(40))
    data.write_text("sent0,sent1,hard_neg\n" + rows, encoding="utf-8")
    alone = _train([sys.executable], model_folder, data, tmp_path / "one", objective)
    both = _train([*LAUNCH, *OPTIONS, shared_out], model_folder, data, tmp_path / "two", objective)
    assert len(alone) == len(both) == 6
    for one, two in zip(alone, both, strict=True):
        assert one.keys() == two.keys()
        assert {k: v for k, v in two.items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in one.items() if k != "seconds"}, rel=TOLERANCE, abs=TOLERANCE
        )
    first, second = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("one", "two"))
    for name, weight in first.items():
        assert (second[name] - weight).norm() <= 10 * TOLERANCE * weight.norm(), name
    assert json.loads((tmp_path / "two" / "training.json").read_text())["processes"] == 2


def test_parts_cover_every_item_once() -> None:
    items = list(range(10))
    parts = [Processes(rank, 4).part(items) for rank in range(4)]
    assert [list(part) for part in parts] == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]
    assert list(Processes(0, 2).part([1])) == []
    assert list(Processes(1, 2).part([1])) == [1]


@pytest.mark.parametrize(
    ("device", "said", "backend"), [("auto", "False", "nccl"), ("auto", "True", "gloo"), ("cpu", "False", "gloo")]
)
def test_processes_talk_as_their_device_does(
    monkeypatch: pytest.MonkeyPatch, device: str, said: str, backend: str
) -> None:
    """On a machine with GPUs, even if `accelerate launch --cpu` selected the CPU."""
    asked: list[object] = []
    launched = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    for name, value in {**launched, "MASTER_PORT": "29500", "ACCELERATE_USE_CPU": said}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", asked.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend, **_: asked.append(backend))
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(PartialState, "_shared_state", {})
    joined = Processes.join(device)
    assert (joined.rank, joined.count) == (1, 2)
    assert asked == ([backend, torch.device("cuda", 1)] if backend == "nccl" else [backend])


def test_alone_nothing_is_sent() -> None:
    alone = Processes.join()
    assert (alone.first, alone.count) == (True, 1)
    assert alone.sum({"loss": 2.0}) == {"loss": 2.0}
    assert alone.from_first(lambda: 3.0, together=False) == 3.0
    rows = torch.ones(2, 3)
    assert alone.gather(rows, 2) is rows
