"""Hub data sets through the unpatched clients, against a stub server on the loopback interface."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sempa.evaluation.parts import HUB_SETS
from tests.hub_stub import COMMIT, HubStub, Reply, serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAIRS = [
    {"sentence1": "A cat sat.", "sentence2": "A cat was sitting.", "score": 4.5},
    {"sentence1": "None", "sentence2": "Größe, 漢字", "score": 0.5},
    {"sentence1": "It rains.", "sentence2": "The sun shines.", "score": 1},
    {"sentence1": "It rains.", "sentence2": "Rain falls.", "score": 5},
]
ENDINGS = {
    "ind": 1,
    "activity_label": "Baking",
    "ctx_a": "A man stirs.",
    "ctx_b": "he",
    "endings": ["bakes.", "flies [title] off.", "is a spoon.", "rains."],
    "label": "0",
}
TRIPLETS = 'anchor,positive,negative\n"A cat, black.",None,A dog.\n'


def _card(splits: set[str]) -> bytes:
    files = "".join(f"  - split: {split}\n    path: {split}.jsonl\n" for split in sorted(splits))
    return f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n".encode()


def _repositories() -> dict[str, dict[str, bytes]]:
    lines = "".join(json.dumps(pair) + "\n" for pair in PAIRS).encode()
    made: dict[str, dict[str, bytes]] = {
        "owner/nli": {
            "train.csv": TRIPLETS.encode(),
            "marked.csv": TRIPLETS.encode("utf-8-sig"),
            "broken.jsonl": b'{"anchor": "A cat.", "positive": "A pet.", "negative": "A dog."}\n{"anchor": "A d',
        }
    }
    ends = "".join(json.dumps(ENDINGS | {"ind": i, "label": str(i % 4)}) + "\n" for i in range(7)).encode()
    splits = ("train", "validation")
    made["Rowan/hellaswag"] = {"README.md": _card({*splits}), **{f"{split}.jsonl": ends for split in splits}}
    for repository in {name for name, _ in HUB_SETS.values()}:
        splits = {split for name, split in HUB_SETS.values() if name == repository}
        made[repository] = {"README.md": _card(splits), **{f"{split}.jsonl": lines for split in splits}}
    return made


class _Stub(HubStub):
    """Serve data set repositories like the hub: their commit, their file list, each file."""

    repositories = _repositories()

    def reply(self) -> Reply:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "datasets"] and (files := self.repositories.get("/".join(parts[2:4]))) is not None:
            told: object = {"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": [{"rfilename": f} for f in files]}
            if "tree" in parts:
                told = [
                    {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                    for name, body in files.items()
                ]
            return 200, json.dumps(told).encode(), {"Content-Type": "application/json"}
        if parts[0] == "datasets" and "resolve" in parts:
            body = self.repositories.get("/".join(parts[1:3]), {}).get("/".join(parts[5:]))
            if body is None:
                return 404, b"", {"X-Error-Code": "EntryNotFound"}
            return 200, body, {"ETag": f'"{hashlib.sha256(body).hexdigest()}"'}
        return super().reply()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Serve the stub and yield the environment of a client that uses it as its only hub."""
    env = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    env |= {"HF_HOME": str(tmp_path_factory.mktemp("hf")), "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    with serving(_Stub) as address:
        yield env | {"HF_ENDPOINT": address}


def _run(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)


def test_rows_come_as_the_hub_has_them(environment: dict[str, str]) -> None:
    code = """
import json
from sempa.data.hub_rows import hub_rows
print(json.dumps([
    [dict(row) for row in hub_rows("mteb/sts12-sts", "test")],
    [dict(row) for row in hub_rows("owner/nli:train.csv", "train")],
    [dict(row) for row in hub_rows("owner/nli:marked.csv", "train")],
]))
"""
    done = _run(environment, "-c", code)
    assert done.returncode == 0, done.stderr[-2000:]
    pairs, triplets, marked = json.loads(done.stdout.splitlines()[-1])
    assert pairs == PAIRS
    assert triplets == marked == [{"anchor": "A cat, black.", "positive": "None", "negative": "A dog."}]


def test_a_data_set_that_is_not_there_is_one_sentence(environment: dict[str, str], model_folder: Path) -> None:
    done = _run(environment, "train.py", "--data", "owner/none", "--base", str(model_folder))
    assert done.returncode == 2
    assert "train.py: The data set owner/none is not a local file, and the hub did not deliver it" in done.stderr


def test_a_broken_line_is_one_sentence(environment: dict[str, str], model_folder: Path) -> None:
    done = _run(environment, "train.py", "--data", "owner/nli:broken.jsonl", "--base", str(model_folder))
    assert done.returncode == 2
    assert "train.py: owner/nli:broken.jsonl row 2 is not JSON (Unterminated string" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_seven_sets_are_measured_from_the_hub(
    environment: dict[str, str], model_folder: Path, adapter_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "hub.json"
    model = ["--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32", "--device", "cpu"]
    done = _run(environment, "-m", "sempa", "evaluate", "sts", "--data", "hub", "--json", str(out), *model)
    assert done.returncode == 0, done.stderr[-2000:]
    sets = json.loads(out.read_text())["sets"]
    assert list(sets) == ["sts12", "sts13", "sts14", "sts15", "sts16", "stsb-dev", "stsb-test", "sickr"]
    assert {figures["pairs"] for figures in sets.values()} == {len(PAIRS)}
    assert {json.dumps(figures["sempa"]) for figures in sets.values()} == {json.dumps(sets["sts12"]["sempa"])}


@pytest.mark.timeout(600)
def test_a_task_of_the_harness_is_measured_from_the_hub(
    environment: dict[str, str], model_folder: Path, adapter_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install lm_eval")
    out = tmp_path / "hub.json"
    model = ["--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32", "--device", "cpu"]
    asked = ["-m", "sempa", "evaluate", "generation", "--data", "hub", "--json", str(out), *model]
    done = _run(environment, *asked, "--task", "hellaswag")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(out.read_text())["tasks"]["hellaswag"]
    # The same four endings every time, each right in turn (seven items: once or twice).
    assert found["items"] == 7
    assert round(found["base"]["figure"] * 7 / 100, 3) in (1, 2)
    limited = _run(environment, *asked[: -len(model)], "--limit", "4", *model, "--task", "hellaswag")
    assert limited.returncode == 0, limited.stderr[-2000:]
    found = json.loads(out.read_text())["tasks"]["hellaswag"]
    assert (found["items"], found["base"]["figure"], found["sempa"]["figure"]) == (4, 25, 25)
    missing = _run(environment, *asked, "--task", "drop")
    assert missing.returncode == 2
    assert "sempa: The hub did not deliver the data of drop: " in missing.stderr
