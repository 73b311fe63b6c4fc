"""The installed package, in its own environment outside the checkout."""

import json
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
A, B = "The hare outran the hound.", "The hound outran the hare."
Run = Callable[..., str]
pytestmark = pytest.mark.slow


def _install(folder: Path, *, weights: bool) -> Run:
    """Build a wheel, install it in a fresh environment, and return a function that runs a program there."""
    source, venv, elsewhere = folder / "source", folder / "venv", folder / "elsewhere"
    skipped = ["__pycache__", *([] if weights else ["*.safetensors"])]
    for name in ("sempa", "adapters", "index/demo", "results"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*skipped))
    for path in (ROOT / "app.py", ROOT / "train.py", ROOT / "LICENSE", ROOT / "pyproject.toml", *ROOT.glob("*.txt")):
        shutil.copy(path, source)
    elsewhere.mkdir()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=elsewhere, env=env, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    (packages,) = venv.glob("lib/python*/site-packages")
    dependencies = "".join(f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages())
    (packages / "dependencies.pth").write_text(dependencies, encoding="utf-8")
    (wheel,) = folder.glob("*.whl")
    run(*pip, "--python", venv / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    return lambda program, *arguments: run(venv / "bin" / program, *arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    if not (find_spec("pip") and find_spec("setuptools")):
        pytest.skip("building a wheel needs pip and setuptools")
    return _install(tmp_path_factory.mktemp("install"), weights=False)


@pytest.fixture
def model(model_folder: Path, adapter_folder: Path) -> Sequence[str]:
    return "--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32", "--device", "cpu"


@pytest.mark.parametrize("command", [(), ("app",), ("train",), ("search",)])
def test_help_names_the_command_that_was_run(run: Run, command: tuple[str, ...]) -> None:
    assert run("sempa", *command, "--help").startswith(f"usage: {' '.join(['sempa', *command])} [")


def test_everything_that_ships_is_found_in_the_package(run: Run) -> None:
    ask = (
        "import json, sempa; from sempa.config import SHIPPED; from sempa.data.triplets import SAMPLE_TRIPLETS;"
        "from sempa.embedding.index import find_index, index_names;"
        "print(json.dumps([sempa.__file__, index_names(), str(find_index('demo')), SAMPLE_TRIPLETS.is_file(),"
        "sorted(path.name for path in SHIPPED.glob('adapters/*')),"
        "sorted(path.name for path in SHIPPED.glob('results/*.json'))]))"
    )
    package, indexes, demo, sample, adapters, results = json.loads(run("python", "-c", ask))
    assert Path(package).parent.parent.name == "site-packages"
    assert indexes == ["demo"]
    assert Path(demo) == Path(package).parent / "_shipped" / "index" / "demo"
    assert sample
    assert adapters == sorted(path.name for path in (ROOT / "adapters").iterdir())
    assert results == sorted(path.name for path in (ROOT / "results").glob("*.json"))


def test_a_command_keeps_what_it_makes_in_the_current_folder(run: Run, model: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text(f"{A}\n{B}\n", encoding="utf-8")
    said = run("sempa", "index", "mine", "--texts", str(tmp_path / "texts.txt"), *model)
    assert said == "index/mine: 2 texts, embedded with base and sempa.\n"


def test_the_shipped_adapters_run_by_name_from_any_folder(tmp_path: Path) -> None:
    run = _install(tmp_path, weights=True)
    ask = f"from sempa import Encoder, ModelPair; print(Encoder(ModelPair.open()).encode([{A!r}]).shape)"
    assert run("python", "-c", ask) == "(1, 576)\n"
    for adapter in ("sempa", "sempa-dpo"):
        found = json.loads(run("sempa", "similarity", A, B, "--adapter", adapter))
        assert 0.5 < found["sempa"] != found["base"]
        assert '"matched"' in run("sempa", "search", A, "--codes", "features", "--adapter", adapter)
