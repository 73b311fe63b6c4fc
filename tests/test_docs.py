"""README and docs agree with the code: commands, options, links, tables."""

import argparse
import ast
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tables import named_in, with_tables

import app
import train
from sempa import cli
from tests.pages import CHANGELOG, PAGES, ROOT, WRITTEN, Block, blocks, prose

PARSERS = {"app.py": app.parser, "train.py": train.parser, "-m": cli.parser}
BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = [(block.page, command) for block in BLOCKS for command in block.commands]
ELSEWHERE = {"--index-url", "--multi_gpu", "--num_processes", "--use_fsdp", "--warm-up", "--durations"}
"""Options of other programs."""


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: value)
def test_commands_parse(page: str, command: str) -> None:
    program, *options = shlex.split(command.replace("$seed", "42"))
    PARSERS[program]().parse_args(options[1:] if program == "-m" else options)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}-{block.language}")
def test_python_and_json_are_valid(block: Block) -> None:
    if block.language == "python":
        for found in ast.walk(ast.parse(block.text)):
            if isinstance(found, ast.ImportFrom) and found.module.startswith("sempa"):
                assert all(hasattr(importlib.import_module(found.module), name.name) for name in found.names)
    if block.language == "json":
        json.loads(block.text)


def test_the_reference_names_what_there_is() -> None:
    for name in re.findall(r"^::: (\S+)$", (ROOT / "docs" / "reference.md").read_text("utf-8"), re.MULTILINE):
        module, _, member = name.rpartition(".")
        assert hasattr(importlib.import_module(module), member), name


def test_options_named_exist() -> None:
    known = {option for made in PARSERS.values() for option in _options(made())}
    scripts = "".join(path.read_text("utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    known |= set(re.findall(r'"(--[a-z-]+)"', scripts))
    for page in set(WRITTEN) - {CHANGELOG}:  # which names former options too
        named = set(re.findall(r"(?<![\w-])(--[a-z][a-z_-]+)", re.sub(r"<!--.*?-->", "", page.read_text("utf-8"))))
        named -= {option for block in blocks(page) if block.skip for option in _words(block.text)}
        assert named - ELSEWHERE <= known, page.name


def _words(text: str) -> list[str]:
    return [word for word in text.split() if word.startswith("--")]


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options of a parser and of the commands within it."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _options(command)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in _anchors(target), link
            assert ROOT / "docs" not in page.parents or target.parent == ROOT / "docs", f"{link} is not on the site"


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_named_in_the_text_exist(page: Path) -> None:
    for name in re.findall(r"`((?:sempa|adapters|tests|results|benchmarks|index/demo|docs)/[\w./-]*)`", prose(page)):
        assert (ROOT / name).exists() or (ROOT / f"{name}.json").exists(), name


def test_tables_are_those_of_the_results() -> None:
    for page in PAGES:
        text = page.read_text("utf-8")
        assert with_tables(text, ROOT / "results") == text, f"{page.name}: run `python benchmarks/tables.py`"


def test_every_result_is_shown_once() -> None:
    shown = [name for page in PAGES for name in named_in(page.read_text("utf-8"))]
    assert sorted(shown) == sorted(path.stem for path in (ROOT / "results").glob("*.json"))
