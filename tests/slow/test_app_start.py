"""app.py as a user starts it: ready in seconds, without outside connections."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sempa.embedding.encoder import Encoder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
SECONDS_TO_FIRST_ANSWER = 15

QUIET = """
import os, runpy, socket, sys
log = open(sys.argv.pop(1), "a", buffering=1)
log.write("guarded\\n")
def outside(host):
    host = host.decode() if isinstance(host, bytes) else host
    if host and host not in ("127.0.0.1", "::1", "localhost"):
        log.write(f"{host}\\n")
        raise OSError(f"{host} is outside")
def guarded(real):
    def connects(self, address):
        if isinstance(address, tuple):
            outside(address[0])
        return real(self, address)
    return connects
socket.socket.connect = guarded(socket.socket.connect)
socket.socket.connect_ex = guarded(socket.socket.connect_ex)
look_up = socket.getaddrinfo
def looks_up(host, *args, **options):
    outside(host)
    return look_up(host, *args, **options)
socket.getaddrinfo = looks_up
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script in which a connection or look-up beyond this machine fails and is noted."""


def _factor() -> float:
    """Return the factor by which a busy machine may exceed time limits."""
    return 1 + 3 * os.getloadavg()[0] / (os.cpu_count() or 1)


@pytest.fixture
def app(adapter: str, tmp_path: Path) -> Iterator[tuple[str, float, Path]]:
    """Start app.py offline as a user would; yield its address, its start time and the log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "quiet.py").write_text(QUIET)
    command = [sys.executable, str(tmp_path / "quiet.py"), str(tmp_path / "outside"), str(ROOT / "app.py")]
    options = ["--server-port", str(port), "--adapter", adapter]
    kept = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "GRADIO_ANALYTICS_ENABLED")}
    with (tmp_path / "said").open("w") as said:
        started = time.monotonic()
        process = subprocess.Popen(
            [*command, *options], cwd=ROOT, env={**kept, "PYTHONPATH": str(ROOT)}, stdout=said, stderr=said
        )
        try:
            yield f"http://127.0.0.1:{port}/", started, tmp_path
        finally:
            process.terminate()
            process.wait(60)


def _first_answer(url: str, patience: float) -> dict[str, float]:
    from gradio_client import Client

    last: Exception | None = None
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            answer: dict[str, float] = Client(url, verbose=False).predict("a cat", "a dog", api_name="/similarity")
        except Exception as error:  # not up yet
            last = error
            time.sleep(0.2)
        else:
            return answer
    raise AssertionError(f"No answer within {patience:.0f} s") from last


def test_app_answers_soon_after_its_start_and_asks_nobody(app: tuple[str, float, Path], encoder: Encoder) -> None:
    url, started, folder = app
    limit = SECONDS_TO_FIRST_ANSWER * _factor()
    answer = _first_answer(url, 4 * limit)
    seconds = time.monotonic() - started
    print(f"first answer after {seconds:.1f} s at load {os.getloadavg()[0]:.1f}; limit {limit:.0f} s")
    assert (folder / "outside").read_text() == "guarded\n"
    assert "Traceback" not in (folder / "said").read_text()
    for variant, cosine in answer.items():
        a, b = (encoder.encode_each([text])[variant][0] for text in ("a cat", "a dog"))
        assert cosine == pytest.approx(float(a @ b), abs=1e-3)
    assert seconds < limit
