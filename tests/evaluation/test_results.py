"""Results on disk, and the models they belong to."""

from sempa.evaluation.results import is_of

BASE, TUNED = {"base_model": "tiny", "adapter": None}, {"base_model": "tiny", "adapter": "abc"}


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
