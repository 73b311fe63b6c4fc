"""The code blocks of README and docs are run as a reader would, in a scratch checkout.

Training and what uses `--adapter runs/...` take a tiny random model; all else takes the real one. Blocks that address
port 7860 are run against the started app.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from sempa.models.adapters import shipped_adapters
from tests.pages import PAGES, ROOT, Block, blocks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ADDRESS = "http://127.0.0.1:7860"
SHORT = "--max-samples 16 --stop-after 16 --batch-size 8 --evaluate-every 16"
PAIRS = """score	sentence1	sentence2
4.5	A cat sleeps.	A cat is asleep.
0.5	A man sings.	A dog runs.
4.8	Rain falls.	It rains.
"""
RUN = [block for page in PAGES for block in blocks(page) if block.skip is None and block.language in ("bash", "python")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that looks like the checkout, with the files that the pages take for the reader's own."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("app.py", "train.py"):
        shutil.copy(ROOT / name, folder)
    for name in ("sempa", "adapters", "results"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "index" / "demo", folder / "index" / "demo")
    (folder / "my-notes.txt").write_text("The roof will be slate.\nThe train waits at the station.\nRain is due.\n" * 4)
    triplets = [f"A child reads book {i}.,A child reads.,A child never reads book {i}.\n" for i in range(64)]
    (folder / "nli_for_simcse.csv").write_text("sent0,sent1,hard_neg\n" + "".join(triplets))
    (folder / "stsb-dev.tsv").write_text(PAIRS)
    return folder


@pytest.fixture(scope="module")
def app(serve: Callable[..., AbstractContextManager[Any]]) -> Any:
    with serve("--mcp", *(part for adapter in shipped_adapters() for part in ("--adapter", adapter))) as served:
        yield served.url.rstrip("/")


@pytest.mark.parametrize("block", RUN, ids=lambda block: f"{block.page}-{RUN.index(block)}")
def test_block_runs(block: Block, checkout: Path, model_folder: Path, request: pytest.FixtureRequest) -> None:
    text = block.text
    if ADDRESS in text:
        text = text.replace(ADDRESS, request.getfixturevalue("app"))
    if block.language == "python":
        _run([sys.executable, "-c", text], checkout)
        return
    tiny = f" --base {model_folder} --precision float32 --device cpu"
    for line in text.splitlines():
        if "app.py" in line:
            _require_served(line + (tiny if "--adapter runs/" in line else ""), checkout)
        elif "train.py" in line:
            _run(["bash", "-c", _with_python(f"{line}{tiny} {SHORT}")], checkout)
        else:
            on_tiny = "--adapter runs/" in line and not re.search("sempa (scale|average)", line)
            _run(["bash", "-c", _with_python(line + (tiny if on_tiny else ""))], checkout)


def _with_python(line: str) -> str:
    return re.sub(r"\bpython (?=-m|\w+\.py)", f"{sys.executable} ", line)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-1000:]}{done.stderr[-2000:]}"


def _require_served(line: str, folder: Path) -> None:
    """Start the app as the line does, on a free port, until it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = folder / "said"
    with said.open("w") as stream:
        command = ["bash", "-c", f"exec env {_with_python(line)} --server-port {port}"]
        process = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=stream, env={**os.environ})
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
