"""Uploading through the unpatched hub client, against a stub server on the loopback interface."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENT = """
import sys
from pathlib import Path
from sempa.errors import SempaError
from sempa.models.publish import push_to_hub
try:
    print(push_to_hub(Path(sys.argv[1]), sys.argv[2]))
except SempaError as error:
    print(f"{type(error).__name__}: {error}")
"""
FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": bytes(range(256)), "README.md": "Größe\n".encode()}


class _Stub(BaseHTTPRequestHandler):
    """Answer the client's requests to create a repository and commit files, and keep the files."""

    committed: dict[str, bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != "Bearer hf_secret":
            self._answer(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            self._answer(200, {"url": f"http://{self.headers['Host']}/{asked['organization']}/{asked['name']}"})
        elif self.path.endswith("/preupload/main"):
            asked = json.loads(body)["files"]
            files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None} for f in asked]
            self._answer(200, {"files": files})
        elif self.path.endswith("/commit/main"):
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.committed[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self._answer(
                200,
                {"success": True, "commitOid": "0" * 40, "commitUrl": f"http://{self.headers['Host']}/o/n/commit/0"},
            )
        elif self.path.endswith("/validate-yaml"):
            self._answer(200, {"errors": [], "warnings": []})
        else:
            self._answer(404, {"error": self.path})

    def do_GET(self) -> None:
        self._answer(200, {"id": "owner/name", "sha": "0" * 40, "siblings": []})

    def _answer(self, status: int, said: dict[str, object]) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Serve the stub; yields its address and the files committed to it."""
    _Stub.committed = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", _Stub.committed
        server.shutdown()


def _push(endpoint: str, folder: Path, repository: str, token: str = "hf_secret") -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    env |= {"HF_ENDPOINT": endpoint, "HF_TOKEN": token, "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(folder), repository], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_every_file_arrives_whole(hub: tuple[str, dict[str, bytes]], folder: Path) -> None:
    endpoint, committed = hub
    assert _push(endpoint, folder, "owner/name") == f"{endpoint}/owner/name"
    assert committed == FILES


def test_a_refusal_says_what_to_do(hub: tuple[str, dict[str, bytes]], folder: Path) -> None:
    endpoint, committed = hub
    said = _push(endpoint, folder, "owner/name", token="hf_wrong")
    assert said.startswith("ModelUnavailable: ")
    assert "hf auth login" in said
    assert committed == {}


@pytest.mark.parametrize("name", ["name", "a/b/c", "owner/na me"])
def test_what_is_no_repository_is_one_sentence(hub: tuple[str, dict[str, bytes]], folder: Path, name: str) -> None:
    assert _push(hub[0], folder, name).startswith(f"InputError: {name!r} is not a hub repository")
