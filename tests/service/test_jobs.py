"""Runs started for the page: the very train.py, one at a time, stopped and resumed without losing a step."""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sempa.errors import InputError
from sempa.models.pair import ModelPair
from sempa.service.jobs import RunRequest, RunState, TrainingDesk

OPTIONS = ("--precision", "float32", "--device", "cpu")
SETTINGS: dict[str, object] = {"objective": "dpo", "batch_size": 4, "max_samples": 2000, "evaluate_every": 2000}


@pytest.fixture
def desk(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingDesk]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = TrainingDesk(str(model_folder), tmp_path / "runs", OPTIONS)
    yield made
    made.stop()


@pytest.fixture
def triplets(tmp_path: Path) -> Path:
    path = tmp_path / "uploaded.csv"
    rows = "".join(f"anchor {i} {'a' * (i % 7)},same {i},other {i}\n" for i in range(60))
    path.write_text("anchor,positive,negative\n" + rows, encoding="utf-8")
    return path


def _until(desk: TrainingDesk, name: str, done: Callable[[RunState], bool]) -> RunState:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        state = desk.state(name)
        if done(state):
            return state
        assert state.running or state.adapter, state.said
        time.sleep(0.1)
    raise AssertionError(state.said)


def test_a_run_is_stopped_resumed_and_ends_in_an_adapter(
    desk: TrainingDesk, triplets: Path, model_folder: Path, tmp_path: Path
) -> None:
    desk.start(RunRequest("mine", triplets, settings=SETTINGS))
    triplets.unlink()  # an upload does not stay for ever; the run has its own copy
    _until(desk, "mine", lambda state: len(state.lines) > 12)
    with pytest.raises(InputError, match="'mine' is under way"):
        desk.start(RunRequest("other"))
    with pytest.raises(InputError, match="'mine' is under way"):
        desk.resume("mine")
    desk.stop()
    stopped = desk.state("mine")
    assert (stopped.running, stopped.adapter, stopped.resumable) == (False, None, True)
    assert "Stopped. Add --resume" in stopped.said
    desk.resume("mine")
    whole = _until(desk, "mine", lambda state: not state.running)
    assert [line["step"] for line in whole.lines] == list(range(500))
    assert whole.adapter == tmp_path / "runs" / "mine"
    assert not whole.resumable
    assert ModelPair.open(str(model_folder), str(whole.adapter), precision="float32", device="cpu").adapter
    with pytest.raises(InputError, match="nothing to resume"):
        desk.resume("mine")
    with pytest.raises(InputError, match="already"):
        desk.start(RunRequest("mine"))
    assert desk.names == ["mine"]
    assert TrainingDesk("x", tmp_path / "runs").state("mine").lines == whole.lines, "a later start of the app sees it"


def test_the_command_is_what_one_would_type(desk: TrainingDesk, triplets: Path, tmp_path: Path) -> None:
    command = desk.command(RunRequest("a-1", triplets, "owner/pairs:dev/sts.csv", {"kl_weight": 2.0}))
    runs = tmp_path / "runs"
    assert command[:2] == ["python", "train.py"]
    told = dict(zip(command[2::2], command[3::2], strict=True))
    assert told["--data"] == str(runs / "a-1.desk" / "data.csv")
    assert (told["--dev"], told["--kl-weight"], told["--output"]) == (
        "owner/pairs:dev/sts.csv",
        "2.0",
        str(runs / "a-1"),
    )
    assert tuple(shlex.split(shlex.join(command))) == tuple(command)


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "-x", "x" * 65, "a/b"])
def test_names_cannot_leave_the_folder(desk: TrainingDesk, name: str) -> None:
    for ask in (lambda: desk.start(RunRequest(name)), lambda: desk.state(name), lambda: desk.resume(name)):
        with pytest.raises(InputError, match="run"):
            ask()


@pytest.mark.parametrize("data", ["/etc/passwd", "../x.csv", "tests/conftest.py", "own/x.csv", "a/b/c", "--output"])
def test_data_is_an_upload_or_a_hub_name(desk: TrainingDesk, data: str) -> None:
    with pytest.raises(InputError, match="neither an uploaded file nor a hub data set"):
        desk.start(RunRequest("mine", data))
    assert desk.names == []


def test_a_run_that_fails_says_why_and_its_name_is_free(desk: TrainingDesk, triplets: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n", encoding="utf-8")
    desk.start(RunRequest("mine", bad))
    state = _until(desk, "mine", lambda state: not state.running)
    assert "has the columns a, b" in state.said
    assert not state.resumable
    assert json.dumps(state.lines) == "[]"
    with pytest.raises(InputError, match="nothing to resume"):
        desk.resume("mine")
    desk.start(RunRequest("mine", triplets, settings=SETTINGS))  # nothing had begun: the name is free
    assert _until(desk, "mine", lambda state: bool(state.lines)).begun


def test_a_run_stopped_before_its_first_step_is_resumed(desk: TrainingDesk, triplets: Path) -> None:
    desk.start(RunRequest("mine", triplets, settings=SETTINGS))
    _until(desk, "mine", lambda state: state.begun)
    desk.stop()
    assert desk.state("mine").resumable
    desk.resume("mine")
    assert _until(desk, "mine", lambda state: len(state.lines) > 2).running
