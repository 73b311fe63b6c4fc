"""One-line summaries of results, worked out by hand."""

from typing import Any

import pytest

from sempa.evaluation.generation import USUAL
from sempa.evaluation.verdicts import title, verdict

BOTH: dict[str, Any] = {"recipes": {"base": {}, "sempa": {}}, "adapter": "mine", "text": "raw text"}


def _set(base: float, sempa: float, low: float, high: float) -> dict[str, Any]:
    return {"base": {"spearman": base}, "sempa": {"spearman": sempa}, "change": {"low": low, "high": high}}


def test_similarity_counts_the_sets_whose_interval_leaves_out_zero() -> None:
    sets = {
        "a-test": _set(60, 70, 8, 12),
        "b": _set(50, 49, -2, 0.5),
        "c": _set(70, 67, -5, -1),
        "d-dev": _set(0, 100, 90, 110),  # chosen on, so left out
    }
    result = {**BOTH, "kind": "sts", "what": "sts", "sets": sets}
    assert title(result) == "Similarity, raw text"
    assert verdict(result) == "60.0 → 62.0 (+2.0), average of 3 sets; better on 1 of 3, worse on 1 (at the 5% level)"


def test_a_development_set_alone_is_told() -> None:
    result = {**BOTH, "kind": "sts", "what": "sts", "sets": {"d-dev": _set(60, 70, 8, 12)}}
    assert verdict(result) == "60.0 → 70.0 (+10.0), d-dev; better on 1 of 1, worse on 0 (at the 5% level)"


def test_tasks_count_by_their_paired_test() -> None:
    changes = [(3, 0.01), (-2, 0.04), (-9, 0.06), (1, 0.9), (0.5, 0.0)]
    tasks = {task: {"change": {"figure": figure, "p": p}} for task, (figure, p) in zip(USUAL, changes, strict=True)}
    result = {**BOTH, "kind": "paired", "what": "generation", "tasks": tasks, "data": {"name": "generation"}}
    assert title(result) == "Knowledge and writing"
    assert verdict(result) == "better on 2 of 5, worse on 1 (at the 5% level)"
    assert title({**result, "what": "retrieval"}) == "Retrieval, generation"
    written = {"drop": tasks["sciq"], "gsm8k_cot": tasks["sciq"]}
    assert title({**result, "tasks": written}) == "Knowledge and writing, drop, gsm8k_cot"


@pytest.mark.parametrize(
    ("theirs", "says"),
    [(80, "mine, PromptEOL: 70.0, place 2 of 3; highest: MiniLM, 80.0"), (60, "mine, PromptEOL: 70.0, place 1 of 3")],
)
def test_ways_are_placed_by_their_mean(theirs: float, says: str) -> None:
    ways = {"base, PromptEOL": {"a": 50, "b": 60}, "mine, PromptEOL": {"a": 75, "b": 65}, "MiniLM": {"a": theirs}}
    ways["MiniLM"]["b"] = theirs
    result = {**BOTH, "kind": "baselines", "what": "baselines", "methods": ways}
    assert verdict(result) == says
    ways["other, PromptEOL"] = {"a": 90, "b": 92}
    result["also"] = {"other": {}}
    place = 2 if theirs < 70 else 3
    assert verdict(result) == f"mine, PromptEOL: 70.0, place {place} of 4; other, PromptEOL: 91.0, place 1 of 4"


def test_geometry_and_tokens_say_before_and_after() -> None:
    base, sempa = ({"uniformity": -u, "isotropy": u / 10, "effective_rank": 100 * u} for u in (1, 2))
    geometry = {**BOTH, "kind": "geometry", "what": "geometry", "models": {"base": base, "sempa": sempa}}
    assert verdict(geometry) == "uniformity -1.00 → -2.00, isotropy 0.10 → 0.20, effective rank 100 → 200"
    tokens = {**BOTH, "kind": "tokens", "what": "tokens", "models": {"base": {"gar": 0.1}, "sempa": {"gar": 0.25}}}
    assert verdict(tokens) == "10.0% → 25.0% of all words are among their sentence's aligned tokens"


def test_a_base_alone_is_not_compared() -> None:
    assert verdict({"kind": "sts", "what": "sts", "recipes": {"base": {}}, "sets": {}}) == ""
