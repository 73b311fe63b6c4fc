"""A training process killed without warning, ten times over, and resumed: as if nothing had happened."""

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

from sempa.models.source import sha256_of

ROOT = Path(__file__).parents[2]
STEPS = 60
KILLS = 10


def _command(base: Path, data: Path, output: Path, objective: str) -> list[str]:
    options = {
        "objective": objective,
        "batch-size": 8,
        "max-samples": 8 * STEPS,
        "evaluate-every": 120,
        "lora-dropout": 0.1,
        "lr": 0.002,
    }
    where = {"base": base, "data": data, "output": output, "precision": "float32", "device": "cpu"}
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


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("seed", "objective"), [(0, "sempa"), (1, "spod")])
def test_killed_runs_end_bit_identical(model_folder: Path, tmp_path: Path, seed: int, objective: str) -> None:
    """The moments are drawn by seed: a step in each tenth of the run, and a fraction of a step after it."""
    data = tmp_path / "triplets.csv"
    data.write_text("sent0,sent1,hard_neg\n" + "".join(f"a{i},b{i},c{i}\n" for i in range(200)), encoding="utf-8")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    reference = _start(_command(model_folder, data, whole, objective))
    draw = random.Random(seed)
    command = _command(model_folder, data, broken, objective)
    part = STEPS // KILLS
    for kill in range(KILLS):
        process = _start(command if kill == 0 else [*command, "--resume"])
        _kill_after(process, broken, draw.randrange(kill * part + 1, (kill + 1) * part - 1), draw.random() * 0.05)
        assert not broken.exists()
    assert _start([*command, "--resume"]).wait() == 0
    assert reference.wait() == 0
    assert len(_log(whole)) == STEPS
    assert _log(broken) == _log(whole)
    extra = ["coder.safetensors"] if objective == "spod" else []
    for name in ("adapter_model.safetensors", "sempa.json", *extra):
        assert sha256_of(broken / name) == sha256_of(whole / name), name
    assert {path.name for path in broken.iterdir()} == {path.name for path in whole.iterdir()}
