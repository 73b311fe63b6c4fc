"""The two entries as commands: help at once, mistakes in one line."""

import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from sempa.cli import main

resource = pytest.importorskip("resource", reason="processor times of children are a Unix thing")
ROOT = Path(__file__).parents[1]
APP, SEMPA = ["app.py"], ["-m", "sempa"]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("entry", [APP, SEMPA], ids=["app.py", "-m sempa"])
def test_help_comes_at_once_and_without_torch(entry: list[str]) -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = _run(*entry, "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # CPU time, which depends less on the machine's load than wall time.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert told.returncode == 0
    assert told.stdout.startswith("usage:")
    assert min(seconds) < 0.5, seconds
    imported = {line.split("|")[-1].strip() for line in _run("-X", "importtime", *entry, "--help").stderr.splitlines()}
    assert "sempa.config" in imported
    assert imported.isdisjoint({"torch", "numpy", "gradio", "transformers", "peft", "faiss"})


def test_app_s_help_names_every_option() -> None:
    told = _run(*APP, "--help").stdout
    for option in (
        "--base",
        "--adapter",
        "--server-name",
        "--server-port",
        "--share",
        "--auth",
        "--allow-host",
        "--mcp",
    ):
        assert f" {option} " in told or f"[{option}" in told, option


def test_auth_without_user_and_password_is_refused_before_anything_is_loaded() -> None:
    told = _run("-X", "importtime", *APP, "--auth", "nocolon")
    assert told.returncode == 2
    assert told.stdout == ""
    *imports, last = told.stderr.splitlines()
    assert last == "app.py: --auth must have the form user:password."
    assert not any("torch" in line for line in imports)


@pytest.fixture(scope="module")
def app() -> ModuleType:
    """Return app.py as a module, so that errors are tested without another import of torch."""
    spec = spec_from_file_location("app", ROOT / "app.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--auth", ":password"], "--auth must have the form user:password."),
        (["--auth", "user:"], "--auth must have the form user:password."),
        (["--auth", "user:password", "--mcp"], "--auth and --mcp exclude each other"),
        (["--base", "/no/such/model"], "The folder /no/such/model does not exist"),
        (["--base", "/no/x.gguf"], "The GGUF file /no/x.gguf does not exist"),
        (["--base", "MODEL", "--adapter", "/no/such/adapter"], "The adapter folder /no/such/adapter does not exist"),
        (["--base", "MODEL", "--adapter", "MODEL"], "has no adapter_config.json"),
        (["--base", "MODEL", "--precision", "int3"], "Precision 'int3' is unknown"),
        (["--base", "MODEL", "--device", "abacus"], "Device 'abacus' is unknown"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    app: ModuleType, model_folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert app.main([str(model_folder) if part == "MODEL" else part for part in arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    said = [line for line in told.err.splitlines() if line and not line.startswith("Loading ")]
    said = [line for line in said if "Writing model shards" not in line]
    assert len(said) == 1, said
    assert said[0].startswith("app.py: ")
    assert says in said[0]


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["evaluate", "glue"], ["search", "q", "-k", "x"]])
def test_unknown_commands_exit_2_with_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert capsys.readouterr().err.startswith("usage:")
