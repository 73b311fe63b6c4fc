"""The hub path through the unpatched hub client, against a stub server on the loopback interface.

The client reads HF_ENDPOINT on import, so it runs in its own process, shared by all tests.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sempa.models.named import NAMED
from tests.hub_stub import HubStub, Reply, serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FAKE = b"GGUF, but not really"
REFUSALS = {"gated": (403, "GatedRepo"), "missing-401": (401, "RepoNotFound"), "blocked": (403, "")}
"""Status and error code by model name; the hub answers 401 for a missing model when nobody is logged in."""

CLIENT = """
import json, sys, tempfile
from pathlib import Path
from sempa.errors import SempaError
from sempa.models.adapters import _download
from sempa.models.pair import ModelPair
from sempa.config import DEFAULT_BASE
from sempa.models.fetch import _fetch_from_hub, named_model_folder
from sempa.models.named import NAMED

def refusal(call, *arguments):
    try:
        call(*arguments)
    except SempaError as error:
        return f"{type(error).__name__}: {error}"

ignore = lambda line: None
out = {"fetched": _fetch_from_hub(NAMED[DEFAULT_BASE], Path(tempfile.mkdtemp()), ignore).read_bytes().decode()}
out["default"] = refusal(named_model_folder, DEFAULT_BASE, ignore)
out["gemma"] = refusal(named_model_folder, "gemma3-270m", ignore)
for name in ("owner/gated", "owner/missing", "owner/missing-401", "owner/blocked"):
    out[name] = refusal(ModelPair.open, name)
out["adapter"] = refusal(_download, "owner/missing")
print(json.dumps(out))
"""


class _Stub(HubStub):
    """Serve one file of one model, and reject the rest like the hub."""

    def reply(self) -> Reply:
        name = self.path.split("/resolve/")[0].rsplit("/", 1)[-1]
        if self.path in {f"/{model.repository}/resolve/main/{model.file}" for model in NAMED.values()}:
            return 200, FAKE, {"ETag": f'"{hashlib.sha256(FAKE).hexdigest()}"'}
        status, code = REFUSALS.get(name, (404, "RepoNotFound"))
        return status, b"", {"X-Error-Code": code} if code else {}


@pytest.fixture(scope="module")
def stub_hub() -> Iterator[str]:
    """Serve the stub and return its address."""
    with serving(_Stub) as address:
        yield address


@pytest.fixture(scope="module")
def answers(stub_hub: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run the client once and return its results by request."""
    home = tmp_path_factory.mktemp("home")
    env = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    env |= {"HF_ENDPOINT": stub_hub, "HF_HOME": str(home / "hf"), "SEMPA_CACHE": str(home / "cache")}
    env |= {"PIP_NO_INDEX": "1", "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    got: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return got


def test_the_hub_client_gets_the_bytes(answers: dict[str, str]) -> None:
    assert answers["fetched"] == FAKE.decode()


@pytest.mark.parametrize(("name", "title"), [("default", "SmolLM2-135M-Instruct"), ("gemma", "Gemma 3 270M")])
def test_a_named_model_is_refused_by_its_hash(answers: dict[str, str], name: str, title: str) -> None:
    assert answers[name].startswith(f"ModelUnavailable: {title} could not be downloaded")
    assert f"hub delivered a different file (SHA-256 {hashlib.sha256(FAKE).hexdigest()[:12]}" in answers[name]


@pytest.mark.parametrize("name", ["owner/gated", "owner/blocked"])
def test_a_gated_model_says_how_to_get_in(answers: dict[str, str], name: str) -> None:
    assert answers[name] == (
        f"ModelUnavailable: The model {name} is gated: accept its terms on its hub page, run `hf auth login`, start "
        f"again."
    )


@pytest.mark.parametrize("name", ["owner/missing", "owner/missing-401"])
def test_a_missing_model_is_not_called_gated(answers: dict[str, str], name: str) -> None:
    """A 401 in the answer, or in the name, is no sign of a gate."""
    assert answers[name] == (
        f"ModelUnavailable: There is no model {name} on the hub and no such folder here: check the name given to "
        f"--base, or run `hf auth login` if it is private."
    )


def test_a_missing_adapter_is_one_sentence(answers: dict[str, str]) -> None:
    assert answers["adapter"].startswith("ModelUnavailable: The adapter owner/missing is not a local folder")
    assert "\n" not in answers["adapter"]
