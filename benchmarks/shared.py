"""Shared parts of benchmarks: competing processes that take turns, a running app, the machine's limits."""

import json
import resource
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch

from sempa.data.scored_pairs import ScoredPairs
from sempa.evaluation.results import write_result
from sempa.evaluation.sts import Encode, sts_spearman
from sempa.machine import environment

MARK, SIDE = "benchmark: ", "--side"


def set_scores(encode: Encode, sets: Mapping[str, ScoredPairs]) -> dict[str, Any]:
    """Return Spearman x100 of each set by name (`sets`) and their mean (`mean`)."""
    found = {name: sts_spearman(encode, pairs) for name, pairs in sets.items()}
    return {"sets": {name: round(score, 2) for name, score in found.items()}, "mean": round(fmean(found.values()), 2)}


class Side:
    """A child process of the same script that computes in turns; see `as_side`."""

    def __init__(self, script: str, name: str, **job: Any) -> None:
        command = [sys.executable, script, SIDE, name, json.dumps(job)]
        self._name = name
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self._receive()

    def turn(self) -> dict[str, Any]:
        """Let the process take one turn and return its report."""
        return self._ask("go")

    def stop(self) -> dict[str, Any]:
        """End the process and return its peak memory."""
        message = self._ask("stop")
        self._process.wait(60)
        return message

    def _ask(self, word: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self._receive()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(MARK):  # libraries print too
                return dict(json.loads(line.removeprefix(MARK)))
        raise RuntimeError(f"The side {self._name!r} ended early.")


def as_side() -> tuple[str, dict[str, Any]] | None:
    """Return this process's side and job; None in the parent."""
    return (sys.argv[2], json.loads(sys.argv[3])) if sys.argv[1:2] == [SIDE] else None


def send(**message: Any) -> None:
    """Report to the parent: once when ready, then after every turn."""
    print(MARK + json.dumps(message), flush=True)


def next_turn() -> bool:
    """Wait for the parent; return whether there is another turn."""
    return sys.stdin.readline().strip() == "go"


def peak_bytes() -> int:
    """Return this process's peak memory in bytes."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def started_app(*options: str) -> Iterator[tuple[str, float]]:
    """Run app.py as a user would until the block ends; yield its address and the seconds until it listened."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun = time.perf_counter()
    command = [sys.executable, "app.py", "--server-port", str(port), *options]
    app = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert app.poll() is None, "the app ended"
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}", time.perf_counter() - begun
    finally:
        app.terminate()
        app.wait(30)


def earlier_result(path: Path, **conditions: Any) -> dict[str, Any]:
    """Return the result in a file, {} without one, so that only missing figures are measured.

    Raises: SystemExit, naming the differences, if the machine, the versions or the conditions have changed.
    """
    if not path.is_file():
        return {}
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    now = json.loads(json.dumps({**conditions, **environment()}))
    different = [name for name in now if name != "date" and before.get(name) != now[name]]
    if different:
        raise SystemExit(f"{path} was measured under other conditions ({', '.join(different)}): choose another --json.")
    return before


def keep(result: Mapping[str, Any], path: Path | None) -> None:
    """Write a result with its environment and command to `path`, if given."""
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    if path:
        write_result({**result, **environment(), "command": command}, path)


def matrix_rate(precision: str, device: str) -> float:
    """Return the machine's best rate (multiply-adds x 2 per second) over ten matrix products of size 2,048."""
    a = torch.randn(2048, 2048, dtype=getattr(torch, precision), device=device)
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * 2048**3 / best
