"""A training run on disk: its log, its checkpoints, its scored adapters, and the finished folder."""

import json
import logging
import os
import shutil
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from sempa.config import METRICS
from sempa.errors import InputError, RecipeMismatch
from sempa.files import abandoned, atomic_file, atomic_folder, lock, writing

log = logging.getLogger(__name__)

FACTS, BASE_SCORE = "run.json", "base-score.json"
"""What a resumed run must share with the run, and the score that the run is measured against."""
RESUME = "make room and run again with --resume"


@dataclass(frozen=True)
class Checkpoint:
    """Hold what training resumes from: tensors by name, and plain facts."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class RunFolder:
    """Write a training run to `<output>.partial` and rename it to `<output>` when it is complete.

    `<output>` is never incomplete; an interrupted run leaves `<output>.partial`, which can be resumed.
    """

    def __init__(self, output: Path, *, keep_checkpoints: bool = False) -> None:
        """Take the final name of a run; `keep_checkpoints` keeps every scored adapter in `<output>/scored`."""
        self.output = output
        self.keep_checkpoints = keep_checkpoints
        self.partial = output.with_name(output.name + ".partial")
        self.release: Callable[[], object] = lambda: None
        """Release the lock so that another process may continue the run; exiting does the same."""

    @property
    def begun(self) -> bool:
        """Whether a run is interrupted or in progress."""
        return (self.partial / FACTS).is_file()

    @classmethod
    def open(cls, output: Path, facts: Mapping[str, Any], *, resume: bool, keep_checkpoints: bool = False) -> Self:
        """Check that `output` is free or, with `resume`, holds the same run; write nothing yet.

        Raises: InputError if the output exists or there is nothing to resume; RecipeMismatch, naming the differences,
        if the run to resume was started with other facts.
        """
        run = cls(output, keep_checkpoints=keep_checkpoints)
        _remove_ended(output.parent)
        if output.exists():
            raise InputError(f"{output} exists already: choose another --output or remove it.")
        if resume:
            run._require_same_facts(facts)
        elif run.begun:
            raise InputError(f"{run.partial} holds an interrupted run: add --resume to continue it, or remove it.")
        return run

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Create the folder, lock it, and record the run's facts; a resumed run is only locked.

        Raises: InputError if another process holds the lock; StorageError if the disk refuses.
        """
        with writing("The run", self.partial):
            self.partial.mkdir(parents=True, exist_ok=True)
            self._lock()
        if not self.begun:
            with atomic_file(self.partial / FACTS, "The run") as aside:
                aside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def keep_base_score(self, name: str, score: float) -> None:
        """Record the score's name and the base model's score, for whoever watches the run.

        Raises: StorageError if the disk refuses.
        """
        with atomic_file(self.partial / BASE_SCORE, "The base model's score", RESUME) as aside:
            aside.write_text(json.dumps({"score_name": name, "score": score}) + "\n", encoding="utf-8")

    def _lock(self) -> None:
        """Lock the folder until the run or this process ends: two writers would corrupt the run."""
        try:
            self.release = weakref.finalize(self, os.close, lock(self.partial))
        except BlockingIOError:
            raise InputError(
                f"The run in {self.partial} is under way in another process: wait for it or stop it."
            ) from None
        except OSError:  # a system without locks
            pass

    def _require_same_facts(self, facts: Mapping[str, Any]) -> None:
        try:
            started = _flat(json.loads((self.partial / FACTS).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            raise InputError(f"There is no run to resume in {self.partial}: start without --resume.") from None
        now = _flat(json.loads(json.dumps(facts)))
        if different := [key for key in {*started, *now} if started.get(key) != now.get(key)]:
            named = "; ".join(f"{key}: {started.get(key)!r} then, {now.get(key)!r} now" for key in sorted(different))
            raise RecipeMismatch(
                f"{self.partial} was started with other settings ({named}): resume it with the same ones."
            )

    def writing(self, what: str) -> AbstractContextManager[None]:
        """Mention `what` and --resume in the StorageError if a write fails in the block."""
        return writing(what, self.partial, RESUME)

    def append(self, line: Mapping[str, Any]) -> None:
        """Add one step to `metrics.jsonl`.

        Raises: StorageError if the disk refuses.
        """
        with self.writing(METRICS), (self.partial / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """Return the steps written so far."""
        return [json.loads(line) for line in self._raw_lines()]

    def _raw_lines(self) -> list[str]:
        path = self.partial / METRICS
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    def save_checkpoint(self, step: int, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then delete the older ones.

        Raises: StorageError if the disk refuses; the previous checkpoint remains.
        """
        path = self.partial / f"checkpoint-{step:07d}.safetensors"
        with atomic_file(path, f"The checkpoint at step {step}", f"the one before is kept; {RESUME}") as aside:
            save_file(checkpoint.tensors, aside, metadata={"facts": json.dumps(checkpoint.facts)})
        for older in self._checkpoints()[:-1]:
            older.unlink()

    def load_checkpoint(self, *, cut: bool = True) -> Checkpoint | None:
        """Return the last checkpoint, None if there is none; `cut` truncates `metrics.jsonl` to its step."""
        checkpoint = None
        for path in self._checkpoints()[-1:]:
            with safe_open(path, "pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                checkpoint = Checkpoint(tensors, json.loads(stored.metadata()["facts"]))
        if cut:
            steps = checkpoint.facts["step"] if checkpoint else 0
            with atomic_file(self.partial / METRICS, METRICS, RESUME) as aside:
                aside.write_text("".join(line + "\n" for line in self._raw_lines()[:steps]), encoding="utf-8")
        return checkpoint

    def _checkpoints(self) -> list[Path]:
        return sorted(self.partial.glob("checkpoint-*.safetensors"))

    def scored_folder(self, samples: int) -> Path:
        """Return the folder of the adapter scored after `samples` samples."""
        return self.partial / "scored" / f"{samples:09d}"

    def finish(self, best: Path) -> Path:
        """Copy the best adapter and the log to the final folder, atomically, then delete the run's own.

        If interrupted before, resuming completes this; if after, the next run started beside it deletes the rest.
        Raises: StorageError if the disk refuses.
        """
        with atomic_folder(self.output, "The adapter", RESUME) as made:
            for file in [*best.iterdir(), *self.partial.glob(METRICS)]:
                shutil.copyfile(file, made / file.name)
            if self.keep_checkpoints:
                shutil.copytree(self.partial / "scored", made / "scored")
        shutil.rmtree(self.partial, ignore_errors=True)
        self.release()
        return self.output


def _remove_ended(parent: Path) -> None:
    """Delete what runs left that were killed after their adapter was complete."""
    for partial in parent.glob("*.partial"):
        ended = (partial / FACTS).is_file() and partial.with_suffix("").is_dir()
        if ended and abandoned(partial):
            shutil.rmtree(partial, ignore_errors=True)
            log.warning("Removed %s: the adapter of this run is complete.", partial)


def _flat(facts: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Flatten nested facts: `config.lr` for facts["config"]["lr"]."""
    level: dict[str, Any] = {}
    for name, value in facts.items():
        level |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return level
