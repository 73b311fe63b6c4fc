"""README says what is so: its commands parse, its paths exist, its tables are those of results/."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
import train
from sempa import cli
from sempa.evaluation.tables import named_in, with_tables

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
VENV = "python3 -m venv .venv && .venv/bin/pip install -r"
PARSERS = {"app.py": app.parser, "train.py": train.parser}


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def _commands() -> list[list[str]]:
    lines = [line for block in _blocks("bash") for line in block.splitlines()]
    return [shlex.split(part) for line in lines for part in line.split("&&")]


def test_first_screen_has_exactly_the_two_lines():
    first = [block.strip() for block in _blocks("bash")[:2]]
    assert first == [
        f"{VENV} requirements.txt && .venv/bin/python app.py",
        f"{VENV} requirements-dev.txt && .venv/bin/pytest",
    ]


@pytest.mark.parametrize("command", [c for c in _commands() if c[0] == ".venv/bin/python"], ids=" ".join)
def test_commands_parse(command):
    if command[1:3] == ["-m", "sempa"]:
        cli.parser().parse_args(command[3:])
    else:
        PARSERS[command[1]]().parse_args(command[2:])


def test_options_named_in_the_text_exist():
    known = {option for made in (app.parser(), train.parser(), cli.parser()) for option in _options(made)}
    named = set(re.findall(r"`(--[a-z-]+)", README))
    assert len(named) > 10
    assert named <= known


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options of a parser and of the commands within it."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _options(command)


def test_python_examples_are_python():
    blocks = _blocks("python")
    assert len(blocks) >= 2
    for block in blocks:
        ast.parse(block)


def test_paths_exist():
    linked = [path for path in re.findall(r"\]\(([^)#]+)\)", README) if not path.startswith("http")]
    assert linked
    for path in linked:
        assert (ROOT / path).exists(), path
    tree = re.search(r"## How it is built\n\n```\n(.*?)```", README, re.DOTALL)
    assert tree
    names = [name for line in tree.group(1).splitlines() for name in re.split(r" {2,}\S", line.strip())[0].split()]
    assert len(names) > 15
    for name in names:
        assert (ROOT / name).exists() or (ROOT / "sempa" / name).exists(), name


def test_tables_are_those_of_the_results():
    every = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    for document in (README, every, (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")):
        assert with_tables(document, ROOT / "results") == document, "run `python -m sempa tables`"
    measured = {path.stem for path in (ROOT / "results").glob("*.json")}
    assert sorted(named_in(every)) == sorted(measured), "results/README.md shows every result once"


def test_space_configuration_matches_the_requirements():
    front = README.split("---")[1]
    values = dict(re.findall(r"^(\w+): *(.+)$", front, re.MULTILINE))
    assert values["sdk"] == "gradio"
    assert values["app_file"] == "app.py"
    assert values["license"] == "apache-2.0"
    assert values["python_version"].strip('"') in ("3.11", "3.12")
    major, minor, _ = (int(part) for part in values["sdk_version"].split("."))
    assert major == 6
    assert minor >= 22
    assert "models:" in front
