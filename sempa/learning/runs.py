"""A run's folder on disk: everything is written aside and renamed, a marker file last means whole."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors.torch import load_file, save_file
from torch import Tensor

from sempa.errors import InputError, RecipeMismatch, StorageError

METRICS = "metrics.jsonl"
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

    def __init__(self, output: Path) -> None:
        self.output = output
        self.partial = output.with_name(output.name + ".partial")

    @classmethod
    def open(cls, output: Path, facts: Mapping[str, Any], *, resume: bool) -> Self:
        """Start a new run, or with `resume` take up the one that was broken off; `facts` must then be the same.

        Raises: InputError if the output exists already or there is nothing to resume; RecipeMismatch if the run to
        resume was started with other facts; StorageError if the disk refuses.
        """
        run = cls(output)
        if output.exists():
            raise InputError(f"{output} exists already: choose another --output or remove it.")
        if resume:
            run._require_same_facts(facts)
            return run
        if run.partial.exists():
            raise InputError(
                f"{run.partial} holds a run that was broken off: add --resume to continue it, or remove that folder."
            )
        try:
            run.partial.mkdir(parents=True)
            _write_whole(run.partial / FACTS, json.dumps(facts, indent=2) + "\n")
        except OSError as error:
            raise StorageError(f"The run cannot be written to {run.partial} ({error.strerror or error}).") from error
        return run

    def _require_same_facts(self, facts: Mapping[str, Any]) -> None:
        try:
            started = json.loads((self.partial / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise InputError(f"There is no run to resume in {self.partial}: start without --resume.") from None
        now = json.loads(json.dumps(facts))
        if different := [key for key in {*started, *now} if started.get(key) != now.get(key)]:
            named = "; ".join(f"{key}: {started.get(key)!r} then, {now.get(key)!r} now" for key in sorted(different))
            raise RecipeMismatch(f"{self.partial} was started otherwise ({named}): resume with the same settings.")

    def append(self, line: Mapping[str, Any]) -> None:
        """Add one step to `metrics.jsonl`."""
        with (self.partial / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

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
            _write_whole(folder / "state.json", json.dumps(checkpoint.facts))
            _write_whole(folder / _COMPLETE, "")
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(
                f"The checkpoint at step {step} could not be written ({error.strerror or error}); the one before it is "
                f"whole: make room and run again with --resume."
            ) from error
        for older in self._checkpoints():
            if older != folder:
                shutil.rmtree(older, ignore_errors=True)

    def load_checkpoint(self) -> Checkpoint | None:
        """Return the last whole checkpoint, with `metrics.jsonl` cut back to it; None if there is none."""
        whole = [folder for folder in self._checkpoints() if (folder / _COMPLETE).is_file()]
        facts: dict[str, Any] = json.loads((whole[-1] / "state.json").read_text()) if whole else {"step": 0}
        kept = (self.partial / METRICS).read_text("utf-8").splitlines() if (self.partial / METRICS).is_file() else []
        _write_whole(self.partial / METRICS, "".join(line + "\n" for line in kept[: facts["step"]]))
        return Checkpoint(load_file(whole[-1] / "state.safetensors"), facts) if whole else None

    def _checkpoints(self) -> list[Path]:
        return sorted(self.partial.glob("checkpoint-*"))

    def best_folder(self, samples: int) -> Path:
        """Return where the adapter that scored best so far belongs."""
        return self.partial / f"best-{samples:09d}"

    def finish(self, best: Path) -> Path:
        """Move the best adapter's files to the top, drop checkpoints, and rename the run to its final name."""
        for file in best.iterdir():
            file.replace(self.partial / file.name)
        for folder in (*self._checkpoints(), *self.partial.glob("best-*")):
            shutil.rmtree(folder)
        self.partial.replace(self.output)
        return self.output


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_name(path.name + ".new")
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
