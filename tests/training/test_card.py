"""The cards of the shipped adapters are what the code writes."""

import json
import shutil
from pathlib import Path

import pytest

from sempa.config import RECIPE_FILE, RUN_FACTS, Recipe
from sempa.models.adapters import SHIPPED_ADAPTERS
from sempa.training.card import write_facts


@pytest.mark.parametrize("name", [folder.name for folder in sorted(SHIPPED_ADAPTERS.iterdir())])
def test_a_shipped_card_is_drawn_from_its_facts(name: str, tmp_path: Path) -> None:
    shipped = SHIPPED_ADAPTERS / name
    for file in (RECIPE_FILE, RUN_FACTS):
        shutil.copy(shipped / file, tmp_path)
    facts = json.loads((tmp_path / RUN_FACTS).read_text(encoding="utf-8"))
    training = Recipe.load(tmp_path).training
    assert training is not None
    write_facts(tmp_path, facts, training)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == (shipped / "README.md").read_text(encoding="utf-8")
