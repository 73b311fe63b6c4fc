"""What campaigns share: their size and seed, a tiny model to attack, and one table of results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sempa.embedding.encoder import Encoder
from sempa.evaluation.results import write_result
from sempa.machine import environment
from sempa.models.pair import ModelPair
from sempa.service.adapters import Adapters

REPORT = Path(__file__).parents[2] / "results" / "campaign.json"
Record = Callable[..., None]


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """Return the campaign's seed."""
    return int(request.config.getoption("--campaign-seed"))


@pytest.fixture(scope="session")
def sized(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """Return a function from a full number to this campaign's, at least 1."""
    return lambda full: max(1, round(full * float(request.config.getoption("--size"))))


@pytest.fixture(scope="session")
def record(seed: int) -> Record:
    """Return a function that puts one part's figures into the report, in place of an older run's."""

    def put(part: str, tried: int, of: int, **figures: Any) -> None:
        parts = json.loads(REPORT.read_text(encoding="utf-8"))["parts"] if REPORT.is_file() else {}
        parts[part] = {"tried": tried, "of": of, "seed": seed, **figures}
        payload = {"kind": "campaign", "parts": parts, "model": "tiny random Llama", **environment()}
        write_result({**payload, "command": "make campaign SIZE=... SEED=..."}, REPORT)

    return put


@pytest.fixture(scope="session")
def options(model_folder: Path, adapter_folder: Path, other_adapter: Path) -> list[str]:
    """Return the options of an app on a tiny model with two adapters."""
    model = ["--base", str(model_folder), "--precision", "float32", "--device", "cpu"]
    return [*model, "--adapter", str(adapter_folder), "--adapter", str(other_adapter)]


@pytest.fixture(scope="session")
def truth(model_folder: Path, adapter_folder: Path, other_adapter: Path) -> Adapters:
    """Return the same model and adapters in this process, to compare answers with."""
    pair = ModelPair.open(str(model_folder), str(adapter_folder), precision="float32", device="cpu")
    return Adapters([Encoder(pair), Encoder(pair.with_adapter(str(other_adapter)))])


def resident(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status")
    if not status.is_file():
        pytest.skip("this needs /proc")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
