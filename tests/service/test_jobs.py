"""Training jobs: the real train.py, one at a time, stopped and resumed without losing a step."""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sempa.errors import InputError
from sempa.models.adapters import shipped_adapters
from sempa.models.pair import ModelPair
from sempa.service.jobs import RunRequest, RunState, TrainingJobs

OPTIONS = ("--precision", "float32", "--device", "cpu")
STEPS = 150
SETTINGS: dict[str, object] = {
    "objective": "dpo",
    "batch_size": 2,
    "max_samples": 2 * STEPS,
    "evaluate_every": 2 * STEPS,
    "kl_weight": 0.0,
}


@pytest.fixture
def jobs(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingJobs]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = TrainingJobs(str(model_folder), tmp_path / "runs", OPTIONS)
    yield made
    made.stop()


@pytest.fixture
def triplets(tmp_path: Path) -> Path:
    path = tmp_path / "uploaded.csv"
    rows = "".join(f"anchor {i} {'a' * (i % 7)},same {i},other {i}\n" for i in range(60))
    path.write_text("anchor,positive,negative\n" + rows, encoding="utf-8")
    return path


def _until(jobs: TrainingJobs, name: str, done: Callable[[RunState], bool]) -> RunState:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        state = jobs.state(name)
        if done(state):
            return state
        assert state.running or state.adapter, state.output
        time.sleep(0.1)
    raise AssertionError(state.output)


def test_a_run_from_a_failed_start_to_its_adapter(
    jobs: TrainingJobs, triplets: Path, model_folder: Path, tmp_path: Path
) -> None:
    """Bad data, then a stop before the first step, a stop after some, and the end; one test, since a start is slow."""
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n", encoding="utf-8")
    jobs.start(RunRequest("mine", bad))
    failed = _until(jobs, "mine", lambda state: not state.running)
    assert "has the columns a, b" in failed.error
    assert not failed.resumable
    assert json.dumps(failed.lines) == "[]"
    with pytest.raises(InputError, match="nothing to resume"):
        jobs.resume("mine")

    jobs.start(RunRequest("mine", triplets, settings=SETTINGS))  # the run never began: the name is free
    triplets.unlink()  # uploads expire; the run has its own copy
    _until(jobs, "mine", lambda state: state.begun)
    jobs.stop()
    assert jobs.state("mine").resumable

    jobs.resume("mine")
    _until(jobs, "mine", lambda state: len(state.lines) > 12)
    with pytest.raises(InputError, match="'mine' is still running"):
        jobs.start(RunRequest("other"))
    with pytest.raises(InputError, match="'mine' is still running"):
        jobs.resume("mine")
    with pytest.raises(InputError, match="'mine' is still running"):
        jobs.delete("mine")
    jobs.stop()
    stopped = jobs.state("mine")
    assert (stopped.running, stopped.adapter, stopped.resumable) == (False, None, True)
    assert "Stopped. Add --resume" in stopped.output
    assert stopped.total == 2 * STEPS
    done = stopped.lines[-1]["samples"]
    rate = sum(line["seconds"] for line in stopped.lines[-10:]) / 20  # ten steps of two pairs
    assert stopped.seconds_left == pytest.approx(rate * (2 * STEPS - done))
    jobs.resume("mine")
    whole = _until(jobs, "mine", lambda state: not state.running)
    assert [line["step"] for line in whole.lines] == list(range(STEPS))
    assert whole.adapter == tmp_path / "runs" / "mine"
    assert not whole.resumable
    assert ModelPair.open(str(model_folder), str(whole.adapter), precision="float32", device="cpu").adapter
    with pytest.raises(InputError, match="nothing to resume"):
        jobs.resume("mine")
    with pytest.raises(InputError, match="already"):
        jobs.start(RunRequest("mine"))
    assert jobs.names == ["mine"]
    assert TrainingJobs("x", tmp_path / "runs").state("mine").lines == whole.lines, "a later start of the app sees it"
    facts = json.loads((whole.adapter / "training.json").read_text(encoding="utf-8"))
    assert (whole.before, whole.after) == (facts["scores"][0]["score"], facts["best"]["score"])
    assert (stopped.before, stopped.after) == (whole.before, None), "known while it runs"
    assert "held-out triplets" in str(whole.score_name)
    assert stopped.score_name == whole.score_name
    jobs.delete("mine")
    assert jobs.names == []
    assert list((tmp_path / "runs").iterdir()) == []
    with pytest.raises(InputError, match="There is no run 'mine'"):
        jobs.delete("mine")


def test_the_command_is_what_one_would_type(jobs: TrainingJobs, triplets: Path, tmp_path: Path) -> None:
    command = jobs.command(RunRequest("a-1", triplets, "owner/pairs:dev/sts.csv", {"kl_weight": 2.0}))
    runs = tmp_path / "runs"
    assert command[:2] == ["python", "train.py"]
    told = dict(zip(command[2::2], command[3::2], strict=True))
    assert told["--data"] == str(runs / "a-1.job" / "data.csv")
    assert (told["--dev"], told["--kl-weight"], told["--output"]) == (
        "owner/pairs:dev/sts.csv",
        "2.0",
        str(runs / "a-1"),
    )
    assert tuple(shlex.split(shlex.join(command))) == tuple(command)


def test_a_run_may_not_take_a_shipped_adapter_s_name(jobs: TrainingJobs) -> None:
    for path in shipped_adapters():
        with pytest.raises(InputError, match="the name of a shipped adapter: choose another name"):
            jobs.start(RunRequest(Path(path).name))
    assert jobs.names == []


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "-x", "x" * 65, "a/b"])
def test_names_cannot_leave_the_folder(jobs: TrainingJobs, name: str) -> None:
    for ask in (lambda: jobs.start(RunRequest(name)), lambda: jobs.state(name), lambda: jobs.resume(name)):
        with pytest.raises(InputError, match="run"):
            ask()


@pytest.mark.parametrize("data", ["/etc/passwd", "../x.csv", "tests/conftest.py", "own/x.csv", "a/b/c", "--output"])
def test_data_is_an_upload_or_a_hub_name(jobs: TrainingJobs, data: str) -> None:
    with pytest.raises(InputError, match="neither an uploaded file nor a hub data set"):
        jobs.start(RunRequest("mine", data))
    assert jobs.names == []
