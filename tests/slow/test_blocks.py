"""Run the code blocks of README and docs as a reader would, page by page, in a scratch checkout.

Training and `--adapter runs/...` use a tiny random model; other commands use the real one. Blocks that address port
7860 run against the started app.
"""

import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from sempa.models.adapters import shipped_adapters
from tests.pages import PAGES, ROOT, blocks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ADDRESS = "http://127.0.0.1:7860"
SHORT = ["--max-samples", "16", "--stop-after", "16", "--batch-size", "8", "--evaluate-every", "16"]
PAIRS = """score\tsentence1\tsentence2
4.5\tA cat sleeps.\tA cat is asleep.
0.5\tA man sings.\tA dog runs.
4.8\tRain falls.\tIt rains.
"""
PREPARED = {
    "sparse-codes.md": [
        "python train.py --data nli_for_simcse.csv --output runs/mine",
        "python -m sempa index notes --texts my-notes.txt --adapter runs/mine",
    ]
}
"""Commands that a page needs from an earlier page."""
START = """
import subprocess, sys
from sempa import cli
import train
def run(main, *options):
    print("+", *options, flush=True)
    assert main(list(options)) == 0
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the checkout with the files that the pages expect from the reader."""
    for name in ("app.py", "train.py"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("sempa", "adapters", "results"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "index" / "demo", tmp_path / "index" / "demo")
    (tmp_path / "my-notes.txt").write_text(
        "The roof will be slate.\nThe train waits at the station.\nRain is due.\n" * 4
    )
    triplets = [f"A child reads book {i}.,A child reads.,A child sleeps on book {i}.\n" for i in range(300)]
    (tmp_path / "nli_for_simcse.csv").write_text("sent0,sent1,hard_neg\n" + "".join(triplets))
    (tmp_path / "stsb-dev.tsv").write_text(PAIRS)
    return tmp_path


@pytest.fixture(scope="module")
def app(serve: Callable[..., AbstractContextManager[Any]]) -> Iterator[str]:
    with serve("--mcp", *(part for adapter in shipped_adapters() for part in ("--adapter", adapter))) as served:
        yield served.url.rstrip("/")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_blocks_run(page: Path, checkout: Path, model_folder: Path, request: pytest.FixtureRequest) -> None:
    tiny = ["--base", str(model_folder), "--precision", "float32", "--device", "cpu"]
    script = START + "".join(f"{_call(line, tiny)}\n" for line in PREPARED.get(page.name, []))
    served = []
    for number, block in enumerate(blocks(page)):
        text = block.text
        if block.skip or block.language not in ("bash", "python"):
            continue
        if ADDRESS in text:
            text = text.replace(ADDRESS, request.getfixturevalue("app"))
        if block.language == "python":
            script += f"exec(compile({text!r}, 'block {number}', 'exec'), {{}})\n"
            continue
        for line in text.replace("\\\n", "").splitlines():
            if "app.py" in line:
                served.append(line + (f" {shlex.join(tiny)}" if "runs/" in line else ""))
            else:
                script += _call(line, tiny) + "\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-1000:]}{done.stderr[-3000:]}"
    for line in served:
        _require_served(line, checkout)


def _call(line: str, tiny: list[str]) -> str:
    """Convert a shell line to Python, so that commands share one import of torch."""
    if found := re.fullmatch(r"python -m sempa (.*)", line):
        options = shlex.split(found[1])
        on_tiny = "--adapter runs/" in line and options[0] not in ("scale", "average")
        return f"run(cli.main, *{[*options, *(tiny if on_tiny else [])]!r})"
    if found := re.fullmatch(r"python train.py(.*)", line):
        return f"run(train.main, *{[*shlex.split(found[1]), *tiny, *SHORT]!r})"
    return f"subprocess.run({line!r}, shell=True, check=True)"


def _require_served(line: str, folder: Path) -> None:
    """Start the app with the line's options on a free port and wait until it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = folder / "said"
    command = f"exec env {line.replace('python', sys.executable, 1)} --server-port {port}"
    with said.open("w") as stream:
        process = subprocess.Popen(["bash", "-c", command], cwd=folder, stdout=stream, stderr=stream)
        try:
            until = time.monotonic() + 240
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                assert process.poll() is None, said.read_text()[-2000:]
                assert time.monotonic() < until, said.read_text()[-2000:]
                time.sleep(0.2)
        finally:
            process.terminate()
            process.wait(60)
    assert "Traceback" not in said.read_text()
