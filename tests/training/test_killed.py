"""A training process killed without warning and resumed: as if nothing had happened.

On a GPU, the order of sums varies, so two runs of one seed differ by rounding: results are close, not equal.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sempa.files import sha256_of

ROOT = Path(__file__).parents[2]
STEPS = 60
NEAR = 1e-3
"""Relative tolerance of a resumed run's weights to an uninterrupted run's on a GPU."""


def _command(base: Path, data: Path, output: Path, objective: str, device: str = "cpu") -> list[str]:
    options = {
        "objective": objective,
        "batch-size": 8,
        "max-samples": 8 * STEPS,
        "evaluate-every": 120,
        "lora-dropout": 0.1,
        "lr": 0.002,
    }
    where = {"base": base, "data": data, "output": output, "precision": "float32", "device": device}
    return [sys.executable, "train.py", *(str(p) for name, v in {**where, **options}.items() for p in (f"--{name}", v))]


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _steps_written(output: Path) -> int:
    log = output.with_name(output.name + ".partial") / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.is_file() else 0


def _log(output: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def _kill_after(process: subprocess.Popen[bytes], output: Path, steps: int, delay: float) -> None:
    deadline = time.monotonic() + 120
    while _steps_written(output) < steps:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "no step was written"
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def _triplets(folder: Path) -> Path:
    data = folder / "triplets.csv"
    data.write_text("sent0,sent1,hard_neg\n" + "".join(f"a{i},b{i},c{i}\n" for i in range(200)), encoding="utf-8")
    return data


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("seed", "objective", "kills"),
    [
        pytest.param(0, "dpo", 2, marks=pytest.mark.slow),
        pytest.param(1, "joint", 2, marks=pytest.mark.slow),
    ],
)
def test_killed_runs_end_bit_identical(
    model_folder: Path, tmp_path: Path, seed: int, objective: str, kills: int
) -> None:
    require_same_end(model_folder, tmp_path, seed, objective, kills)


def require_same_end(model_folder: Path, tmp_path: Path, seed: int, objective: str, kills: int) -> None:
    """Kill and resume a run; the seed determines when: a step in each part of the run, plus a fraction of a step."""
    data, whole, broken = _triplets(tmp_path), tmp_path / "whole", tmp_path / "broken"
    reference = _start(_command(model_folder, data, whole, objective))
    draw = random.Random(seed)
    command = _command(model_folder, data, broken, objective)
    part = STEPS // kills
    for kill in range(kills):
        process = _start(command if kill == 0 else [*command, "--resume"])
        _kill_after(process, broken, draw.randrange(kill * part + 1, (kill + 1) * part - 1), draw.random() * 0.05)
        assert not broken.exists()
    assert _start([*command, "--resume"]).wait() == 0
    assert reference.wait() == 0
    assert len(_log(whole)) == STEPS
    assert _log(broken) == _log(whole)
    for name in ("adapter_model.safetensors", "sempa.json"):
        assert sha256_of(broken / name) == sha256_of(whole / name), name
    assert {path.name for path in broken.iterdir()} == {path.name for path in whole.iterdir()}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_killed_on_a_gpu_ends_near_an_uninterrupted_one(model_folder: Path, tmp_path: Path) -> None:
    data, whole, broken = _triplets(tmp_path), tmp_path / "whole", tmp_path / "broken"
    reference = _start(_command(model_folder, data, whole, "dpo", "cuda"))
    command = _command(model_folder, data, broken, "dpo", "cuda")
    for kill, steps in enumerate((13, 34)):
        _kill_after(_start(command if kill == 0 else [*command, "--resume"]), broken, steps, 0.0)
    assert _start([*command, "--resume"]).wait() == 0
    assert reference.wait() == 0
    assert [line["samples"] for line in _log(broken)] == [line["samples"] for line in _log(whole)]
    found, expected = (load_file(folder / "adapter_model.safetensors") for folder in (broken, whole))
    apart = sum(float((found[name] - expected[name]).square().sum()) for name in expected) ** 0.5
    norm = sum(float(weight.square().sum()) for weight in expected.values()) ** 0.5
    print(f"resumed on a GPU: {apart / norm:.2g} of the norm apart")
    assert apart <= NEAR * norm
