"""Training jobs for the page: start, monitor, stop and resume one run at a time, in its own process."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sempa.config import METRICS, RUN_FACTS, SHIPPED
from sempa.errors import InputError, StorageError
from sempa.models.adapters import SHIPPED_ADAPTERS
from sempa.training.run_folder import BASE_SCORE, FACTS, RunFolder

RUNS = Path("runs")
SHOWN_LINES = 12
"""Lines shown from the end of a run's output."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ERROR = "train.py: "
"""What train.py puts before the error that ends it."""
_HUB_DATA = re.compile(r"\w[\w.-]*/\w[\w.-]*(:[\w./-]+)?")


@dataclass(frozen=True)
class RunRequest:
    """Request a training run: data and development pairs as uploaded files (Path) or hub names (str), and settings."""

    name: str
    data: Path | str | None = None
    dev: Path | str | None = None
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class RunState:
    """Report the state of a run: its steps so far, the end of its output, and its adapter once complete."""

    name: str
    running: bool
    lines: Sequence[dict[str, Any]]
    output: str
    adapter: Path | None
    begun: bool = False
    """Whether the disk holds a run that --resume can continue."""
    total: int | None = None
    """The triplets it will see, known once it has begun."""
    score_name: str | None = None
    before: float | None = None
    """The base model's score, known once the run has begun."""
    after: float | None = None
    """The adapter's score, once complete."""

    @property
    def error(self) -> str:
        """Return the error that ended the run; empty if there was none."""
        last = self.output.rpartition("\n")[2]
        return last.removeprefix(_ERROR) if not self.running and last.startswith(_ERROR) else ""

    @property
    def resumable(self) -> bool:
        """Whether the run was interrupted after writing a step to disk."""
        return not self.running and self.adapter is None and self.begun

    @property
    def seconds_left(self) -> float | None:
        """Return an estimate from the last ten steps, None before the first step or without a total."""
        if not self.lines or self.total is None:
            return None
        last = self.lines[-10:]
        pairs = last[-1]["samples"] - (self.lines[-11]["samples"] if len(self.lines) > 10 else 0)
        return sum(step["seconds"] for step in last) / pairs * max(0, self.total - last[-1]["samples"])


class TrainingJobs:
    """Run train.py for the page, one run at a time; each run has a folder in `root`."""

    def __init__(self, base: str, root: Path = RUNS, options: Sequence[str] = ()) -> None:
        """Train adapters of `base`; `options` are added to every command line, such as --precision."""
        self._base, self._root, self._options = base, root, tuple(options)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._running: str | None = None

    @property
    def running(self) -> str | None:
        """Return the name of the active run, None if there is none."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._running

    @property
    def names(self) -> list[str]:
        """Return the names of all runs, complete or interrupted, newest first."""
        folders = sorted(self._root.glob("*/command.txt"), key=lambda path: path.stat().st_mtime, reverse=True)
        return [path.parent.name.removesuffix(".job") for path in folders]

    def command(self, asked: RunRequest) -> list[str]:
        """Return the command line that starts a run from the project's folder.

        Raises: InputError for a malformed name or a shipped adapter's, or data that is neither a file nor a hub name.
        """
        if not _NAME.fullmatch(asked.name):
            raise InputError(
                f"{asked.name!r} is not a valid run name: use up to 64 lower-case letters, digits, '-' and '_'."
            )
        if (SHIPPED_ADAPTERS / asked.name).is_dir():
            raise InputError(f"{asked.name!r} is the name of a shipped adapter: choose another name of the run.")
        flags: list[str] = ["--base", self._base, *self._options]
        for flag, given in (("--data", asked.data), ("--dev", asked.dev)):
            if given:
                flags += [flag, self._kept(asked.name, flag, given)]
        for name, value in asked.settings.items():
            flags += [f"--{name.replace('_', '-')}", str(value)]
        return ["python", "train.py", *flags, "--output", str(self._root / asked.name)]

    def _kept(self, name: str, flag: str, given: Path | str) -> str:
        if isinstance(given, Path):
            return str(self._inputs(name) / f"{flag.removeprefix('--')}{given.suffix}")
        # A visitor's text must not name a local file, which train.py would accept.
        local = Path(given).exists() or (":" not in given and Path(given).suffix in (".csv", ".tsv", ".jsonl", ".json"))
        if local or not _HUB_DATA.fullmatch(given):
            raise InputError(f"{given!r} is neither an uploaded file nor a hub data set (owner/name).")
        return given

    def _inputs(self, name: str) -> Path:
        return self._root / f"{name}.job"

    def _run(self, name: str) -> RunFolder:
        return RunFolder(self._root / name)

    def start(self, asked: RunRequest) -> None:
        """Start a run under a new name, or under one whose run failed before it began.

        Raises: InputError if a run is active or the name is taken; what `command` raises; StorageError.
        """
        command = self.command(asked)
        with self._lock:
            self._require_idle()
            if (self._root / asked.name).exists() or self._run(asked.name).begun:
                raise InputError(f"A run named {asked.name!r} already exists: resume it or choose another name.")
            try:
                shutil.rmtree(self._inputs(asked.name), ignore_errors=True)
                self._inputs(asked.name).mkdir(parents=True)
                for flag, given in (("--data", asked.data), ("--dev", asked.dev)):
                    if isinstance(given, Path):
                        shutil.copyfile(given, self._kept(asked.name, flag, given))
                (self._inputs(asked.name) / "command.txt").write_text(shlex.join(command) + "\n", encoding="utf-8")
            except OSError as error:
                raise StorageError(f"The run cannot be written to {self._root} ({error.strerror or error}).") from error
            self._launch(asked.name, command)

    def resume(self, name: str) -> None:
        """Resume an interrupted run.

        Raises: InputError if a run is active, the name is unknown or there is nothing to resume.
        """
        with self._lock:
            self._require_idle()
            if not self.state(name).resumable:
                raise InputError(f"There is nothing to resume in the run {name!r}.")
            command = shlex.split((self._inputs(name) / "command.txt").read_text(encoding="utf-8"))
            self._launch(name, [*command, "--resume"])

    def _require_idle(self) -> None:
        if name := self.running:
            raise InputError(f"The run {name!r} is still running: wait for it or stop it first.")

    def _launch(self, name: str, command: Sequence[str]) -> None:
        with (self._inputs(name) / "output.txt").open("a", encoding="utf-8") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(SHIPPED / command[1]), *command[2:]],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
            )
        self._running = name

    def stop(self) -> None:
        """Stop the active run and wait for it to end; it can be resumed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()  # not SIGINT, which children of a background app may ignore
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()  # safe: it resumes from its last complete checkpoint
            process.wait()

    def state(self, name: str) -> RunState:
        """Return the state of a run.

        Raises: InputError for an unknown run.
        """
        if not _NAME.fullmatch(name) or not self._inputs(name).is_dir():
            raise InputError(f"There is no run {name!r}.")
        adapter = self._root / name
        complete = adapter.is_dir()
        metrics = (adapter if complete else self._run(name).partial) / METRICS
        lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
        output = self._inputs(name) / "output.txt"
        shown = output.read_text(encoding="utf-8").splitlines()[-SHOWN_LINES:] if output.is_file() else []
        steps = [step for line in lines if (step := _step(line))]
        return RunState(
            name,
            self.running == name,
            steps,
            "\n".join(shown),
            adapter if complete else None,
            self._run(name).begun,
            _total(self._run(name).partial / FACTS),
            *_scores(_read(adapter / RUN_FACTS) or _read(self._run(name).partial / BASE_SCORE)),
        )

    def delete(self, name: str) -> None:
        """Delete a run with its adapter and uploads.

        Raises: InputError for an unknown or active run; StorageError if the disk refuses.
        """
        with self._lock:
            if self.state(name).running:
                raise InputError(f"The run {name!r} is still running: stop it first.")
            try:
                for folder in (self._root / name, self._run(name).partial, self._inputs(name)):
                    if folder.exists():
                        shutil.rmtree(folder)
            except OSError as error:
                raise StorageError(f"The run {name!r} cannot be deleted ({error.strerror or error}).") from error


def _total(facts: Path) -> int | None:
    config = _read(facts).get("config", {})
    return config.get("stop_after") or config.get("max_samples")


def _scores(facts: Mapping[str, Any]) -> tuple[str | None, float | None, float | None]:
    """Return the score's name, the base model's score and the adapter's, from a complete or an unfinished run."""
    if "best" in facts:
        return facts["score_name"], facts["scores"][0]["score"], facts["best"]["score"]
    return facts.get("score_name"), facts.get("score"), None


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _step(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {}  # incomplete line, still being written
