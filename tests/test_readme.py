"""README is short, starts with its two commands, and its table and Space configuration are true."""

import json
import re
from pathlib import Path
from typing import Any

from sempa.evaluation.tables import mean_score
from tests.pages import ROOT, blocks, prose

README = ROOT / "README.md"
TEXT = README.read_text("utf-8")
VENV = "python3 -m venv .venv && .venv/bin/pip install -r"
TASKS = ("arc_easy", "sciq", "lambada_openai", "truthfulqa_mc1", "wikitext")


def test_it_is_read_in_five_minutes() -> None:
    assert len(prose(README).split()) <= 1_000


def test_its_first_blocks_are_the_two_commands() -> None:
    first = [block.text.strip() for block in blocks(README)[:2]]
    assert first == [
        f"{VENV} requirements.txt && .venv/bin/python app.py",
        f"{VENV} requirements-dev.txt && .venv/bin/pytest",
    ]


def test_its_table_is_that_of_the_results() -> None:
    for name, row in _summary().items():
        assert row in TEXT, f"{name}: README's row should be {row}"


def _summary() -> dict[str, str]:
    rows = {}
    for adapter, run in (("sempa-dpo", "dpo"), ("sempa-contrastive", "contrastive"), ("sempa", "sempa")):
        sts, generation, contrast = (_result(f"{what}-{run}") for what in ("sts-tokenised", "generation", "contrast"))
        for variant, name in (("base", "base"), ("sempa", adapter)):
            similarity = mean_score(sts["sets"], variant)
            by_cosine, by_preference = (
                f"{contrast['methods'][method]['kinds']['all']['figure']:.1f}" for method in (variant, "preference")
            )
            cells = [f"{similarity:.1f}", by_cosine, "" if variant == "base" else by_preference]
            cells += _writing(generation, variant)
            rows.setdefault(name, f"| {' | '.join([name, *cells])} |")
    return rows


def _writing(generation: dict[str, Any], variant: str) -> list[str]:
    """Return the cells of the writing tasks: empty for those of which no complete set was measured."""
    assert not generation["limit"]
    found = generation["tasks"]
    places = {task: 2 if task == TASKS[-1] else 1 for task in TASKS}
    return [f"{found[task][variant]['figure']:.{digits}f}" if task in found else "" for task, digits in places.items()]


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "results" / f"{name}.json").read_text("utf-8"))
    return found


def test_its_tree_exists() -> None:
    tree = next(block.text for block in blocks(README) if block.text.startswith("app.py"))
    names = [name for line in tree.splitlines() for name in re.split(r" {2,}\S", line.strip(), maxsplit=1)[:1]]
    paths = [Path(part) for name in names for part in name.split()]
    assert len(paths) > 12
    for path in paths:
        assert (ROOT / path).exists() or (ROOT / "sempa" / path).exists(), path


def test_space_configuration_matches_the_requirements() -> None:
    front = TEXT.split("---")[1]
    values = dict(re.findall(r"^(\w+): *(.+)$", front, re.MULTILINE))
    assert values["sdk"] == "gradio"
    assert values["app_file"] == "app.py"
    assert values["license"] == "apache-2.0"
    assert values["python_version"].strip('"') in ("3.11", "3.12")
    major, minor, _ = (int(part) for part in values["sdk_version"].split("."))
    assert major == 6
    assert minor >= 22
    assert "models:" in front
