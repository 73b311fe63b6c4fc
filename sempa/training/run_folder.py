"""A run's folder on disk: everything is written aside and renamed, a marker file last means whole."""

import json
import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors.torch import load_file, save_file
from torch import Tensor

from sempa.config import METRICS
from sempa.errors import InputError, RecipeMismatch, StorageError
from sempa.files import REFUSALS

FACTS = "run.json"
_COMPLETE = "complete"


@dataclass(frozen=True)
class Checkpoint:
    """Hold what training continues from: tensors by name, and plain facts."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class RunFolder:
    """Write a training run to `<output>.partial` and rename it to `<output>` when it is whole.

    `<output>` never exists half-made; what a broken-off run leaves is `<output>.partial`, which can be resumed.
    """

    def __init__(self, output: Path, *, keep_checkpoints: bool = False) -> None:
        """Take the final name of a run; `keep_checkpoints` keeps every scored adapter in `<output>/scored`."""
        self.output = output
        self.keep_checkpoints = keep_checkpoints
        self.partial = output.with_name(output.name + ".partial")
        self.release: Callable[[], object] = lambda: None
        """Let another take up the run; the end of the process does the same."""

    @property
    def begun(self) -> bool:
        """Whether there is a run that was broken off, or is under way."""
        return (self.partial / FACTS).is_file()

    @classmethod
    def open(cls, output: Path, facts: Mapping[str, Any], *, resume: bool, keep_checkpoints: bool = False) -> Self:
        """Check that a run may be written there, or with `resume` that it is the same run; nothing is written yet.

        Raises: InputError if the output exists already or there is nothing to resume; RecipeMismatch, naming the
        facts that differ, if the run to resume was started otherwise.
        """
        run = cls(output, keep_checkpoints=keep_checkpoints)
        if output.exists():
            raise InputError(f"{output} exists already: choose another --output or remove it.")
        if resume:
            run._require_same_facts(facts)
        elif run.begun:
            raise InputError(
                f"{run.partial} holds a run that was broken off: add --resume to continue it, or remove that folder."
            )
        return run

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Make the folder, hold it, and write down what the run is; a run that is resumed has all but the hold.

        Raises: InputError if another process is at this run; StorageError if the disk refuses.
        """
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            self._hold()
            if not self.begun:
                _write_whole(self.partial / FACTS, json.dumps(facts, indent=2) + "\n")
        except OSError as error:
            raise StorageError(f"The run cannot be written to {self.partial} ({error.strerror or error}).") from error

    def _hold(self) -> None:
        """Lock the folder until the run ends or this process does, however it does: two would spoil one run."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        held = os.open(self.partial, os.O_RDONLY)
        self.release = weakref.finalize(self, os.close, held)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise InputError(
                f"The run in {self.partial} is under way in another process: wait, or stop that."
            ) from None
        except OSError:  # a file system without locks
            self.release()

    def _require_same_facts(self, facts: Mapping[str, Any]) -> None:
        try:
            started = _flat(json.loads((self.partial / FACTS).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            raise InputError(f"There is no run to resume in {self.partial}: start without --resume.") from None
        now = _flat(json.loads(json.dumps(facts)))
        if different := [key for key in {*started, *now} if started.get(key) != now.get(key)]:
            named = "; ".join(f"{key}: {started.get(key)!r} then, {now.get(key)!r} now" for key in sorted(different))
            raise RecipeMismatch(f"{self.partial} was started otherwise ({named}): resume with the same settings.")

    def append(self, line: Mapping[str, Any]) -> None:
        """Add one step to `metrics.jsonl`.

        Raises: StorageError if the disk refuses.
        """
        with self.writing(METRICS), (self.partial / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Say how to go on where the disk refuses what is written of the run until the block ends.

        Raises: StorageError, naming `what`.
        """
        try:
            yield
        except REFUSALS as error:
            reason = getattr(error, "strerror", None) or error
            raise StorageError(
                f"{what} could not be written to {self.partial} ({reason}): make room and run again with --resume."
            ) from error

    def lines(self) -> list[dict[str, Any]]:
        """Return the steps written so far."""
        path = self.partial / METRICS
        if not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def save_checkpoint(self, step: int, checkpoint: Checkpoint) -> None:
        """Write a checkpoint whole, then drop the older ones.

        Raises: StorageError if the disk refuses; the last whole checkpoint stays.
        """
        folder = self.partial / f"checkpoint-{step:07d}"
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            save_file(checkpoint.tensors, folder / "state.safetensors")
            _to_disk(folder / "state.safetensors")
            _write_whole(folder / "state.json", json.dumps(checkpoint.facts))
            _write_whole(folder / _COMPLETE, "")
            _to_disk(folder)  # before the older ones go, which a power cut would otherwise leave in its place
        except REFUSALS as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(
                f"The checkpoint at step {step} could not be written ({error}); the one before it is whole: make room "
                f"and run again with --resume."
            ) from error
        for older in self._checkpoints():
            if older != folder:
                shutil.rmtree(older, ignore_errors=True)

    def load_checkpoint(self, *, cut: bool = True) -> Checkpoint | None:
        """Return the last whole checkpoint, None if there is none; `cut` cuts `metrics.jsonl` back to it."""
        whole = [folder for folder in self._checkpoints() if (folder / _COMPLETE).is_file()]
        facts: dict[str, Any] = json.loads((whole[-1] / "state.json").read_text()) if whole else {"step": 0}
        if cut:
            log = self.partial / METRICS
            lines = log.read_text("utf-8").splitlines() if log.is_file() else []
            with self.writing(METRICS):
                _write_whole(log, "".join(line + "\n" for line in lines[: facts["step"]]))
        return Checkpoint(load_file(whole[-1] / "state.safetensors"), facts) if whole else None

    def _checkpoints(self) -> list[Path]:
        return sorted(self.partial.glob("checkpoint-*"))

    def scored_folder(self, samples: int) -> Path:
        """Return where the adapter belongs that was scored after so many samples."""
        return self.partial / "scored" / f"{samples:09d}"

    def finish(self, best: Path) -> Path:
        """Put the best adapter's files at the top, rename the run to its final name, then drop the checkpoints.

        A run broken off on the way is finished by resuming it: nothing is dropped before the name is final.
        Raises: StorageError if the disk refuses.
        """
        try:
            for file in best.iterdir():
                shutil.copyfile(file, self.partial / file.name)
            self.partial.replace(self.output)
            self.release()
        except OSError as error:
            raise StorageError(
                f"The adapter could not be written to {self.output} ({error.strerror or error}): make room and run "
                f"again with --resume."
            ) from error
        for folder in (*self.output.glob("checkpoint-*"), *([] if self.keep_checkpoints else [self.output / "scored"])):
            shutil.rmtree(folder, ignore_errors=True)
        (self.output / FACTS).unlink(missing_ok=True)  # only resuming needs it, and it names paths of this machine
        return self.output


def _flat(facts: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested facts on one level, `config.lr` for facts["config"]["lr"]."""
    level: dict[str, Any] = {}
    for name, value in facts.items():
        level |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return level


def _to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk; Windows lets neither be opened for that."""
    if os.name == "nt":
        return
    held = os.open(path, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_name(path.name + ".new")
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
