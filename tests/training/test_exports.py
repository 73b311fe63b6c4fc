"""Exported preferences, read back by the rules of TRL."""

import json
from pathlib import Path

import pytest

from sempa.config import TrainConfig
from sempa.data.triplets import Triplet
from sempa.errors import InputError
from sempa.training.exports import export_preferences
from sempa.training.preferences import Preference, preferences

PAIRS = preferences([Triplet("A é.", "None", "b"), Triplet('Say "x".', "c,d", "e")], TrainConfig(template="P4"))


def _render(request: str) -> str:
    return f"<user>{request}<answer>"


def test_trl_rows_are_prompt_chosen_rejected(tmp_path: Path) -> None:
    path = export_preferences(PAIRS, tmp_path / "out", _render)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == {
        "prompt": '<user>Generate a paraphrase of the sentence: "A é.".<answer>',
        "chosen": "None",
        "rejected": "b",
    }
    assert len(rows) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_trl_rows_load_with_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: pip install datasets")
    path = export_preferences(PAIRS, tmp_path / "out", _render)
    loaded = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["chosen"] for row in loaded] == ["None", "c,d"]


def test_plain_requests_are_exported_as_they_are(tmp_path: Path) -> None:
    plain = preferences([Triplet("A é.", "None", "b")], TrainConfig(prompt_format="plain", template="Say {sentence}: "))
    path = export_preferences(plain, tmp_path / "out", _render)
    assert json.loads(path.read_text(encoding="utf-8"))["prompt"] == "Say A é.: "


def test_what_cannot_be_exported_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Only pairs"):
        export_preferences([Preference("r", ("a", "b", "c"))], tmp_path / "out", _render)
    with pytest.raises(InputError, match="exists already"):
        export_preferences(PAIRS, tmp_path, _render)
    assert list(tmp_path.iterdir()) == []
