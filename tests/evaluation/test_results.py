"""Results on disk: finished parts, and the models they belong to."""

from pathlib import Path

from sempa.evaluation.results import is_of
from sempa.evaluation.run import FinishedParts

BASE, TUNED = {"base_model": "tiny", "adapter": None}, {"base_model": "tiny", "adapter": "abc"}


def test_finished_parts_are_taken_up_by_the_same_measurement_alone(tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    kept = FinishedParts(out, {"data": Path("x"), "limit": 3})
    assert kept.add("one", {"f": 1}) == {"f": 1}
    assert FinishedParts(out, {"data": Path("x"), "limit": 3}).parts.get("one") == {"f": 1}
    assert FinishedParts(out, {"data": Path("x"), "limit": 4}).parts.get("one") is None
    assert FinishedParts(None, {"data": Path("x"), "limit": 3}).add("two", {}) == {}
    kept.clear()
    assert list(tmp_path.iterdir()) == []


def test_models_are_told_by_name_and_hash() -> None:
    both = {"recipes": {"base": BASE, "sempa": TUNED}}
    assert is_of(both, "tiny", "abc")
    assert not is_of(both, "tiny", None)
    assert not is_of(both, "other", "abc")
    alone = {"recipes": {"base": BASE}}
    assert is_of(alone, "tiny", None)
    assert not is_of(alone, "tiny", "abc")
    several = {**both, "also": {"sempa": {"base_model": "tiny", "adapter": "def"}}}
    assert [is_of(several, "tiny", adapter) for adapter in ("abc", "def", "ghi", None)] == [True, True, False, False]
