"""The Train tab's views: the preview matches the training data, and a run shows its status and curves."""

import json
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from sempa.config import RECIPES
from sempa.errors import InputError
from sempa.models.adapters import SHIPPED_ADAPTERS
from sempa.models.pair import ModelPair
from sempa.service.jobs import RunState
from sempa.service.studio import Studio
from sempa.training.inputs import preview
from sempa.ui.plots import run_curves, run_words
from sempa.ui.train import FILE, SAMPLES, TrainForm, actions, duration, preview_view, run_view


@pytest.fixture
def asked() -> TrainForm:
    with gr.Blocks():
        return TrainForm([], {"lr": gr.Number(), "seed": gr.Number()})


def test_the_preview_shows_the_rendered_request_and_both_answers(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("anchor,positive,negative\n" + "A cat sat.,A cat.,A dog.\n" * 30 + "x,,y\n", encoding="utf-8")
    tokenizer = studio.pair.tokenizer
    read, examples = preview(str(path), replace(RECIPES["small"], tokenised_share=0.0), tokenizer)
    assert read.startswith("30 triplets")
    assert len(examples) == 20
    assert "Keep the same meaning of this sentence" in examples[0].request
    assert "A cat sat." in examples[0].request
    assert tokenizer(examples[0].request, add_special_tokens=False).input_ids
    assert examples[0].responses == ("A cat.", "A dog.")
    _, read_ones = preview(
        str(path), replace(RECIPES["small"], objective="contrastive", tokenised_share=0.0), tokenizer
    )
    assert (read_ones[0].request, len(read_ones[0].sentences)) == ("", 3)


def test_no_hint_names_a_flag_that_the_page_does_not_have(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("anchor,positive,negative\n" + "A cat sat.,A cat sat.,No cat sat.\n" * 30, encoding="utf-8")
    with pytest.raises(InputError, match="only the other answer negates") as caught:
        preview_view(str(path), replace(RECIPES["small"], balance_negation=True), studio.pair.tokenizer, [])
    assert "--" not in str(caught.value)


def test_settings_are_numbers_of_their_kind(asked: TrainForm) -> None:
    settings = asked.request(SAMPLES, "", "", "", "joint", "mine", 1e-3, 7.0).settings
    assert settings == {"objective": "joint", "lr": 1e-3, "seed": 7}
    assert isinstance(settings["seed"], int)


def test_the_recipe_s_own_pairs_keep_the_recipe_s_schedule() -> None:
    asked = TrainForm([], {"max_samples": gr.Number()})
    kept, changed = (asked.request(FILE, "a.csv", "", "", "dpo", "mine", pairs).settings for pairs in (3072, 500))
    assert kept == {"objective": "dpo"}
    assert changed == {"objective": "dpo", "max_samples": 500}
    assert RECIPES["small"].stop_after == 3072


def test_what_cannot_be_trained_is_told_before_it_starts(asked: TrainForm) -> None:
    with pytest.raises(InputError, match="no triplets yet"):
        asked.request(FILE, "", "", "", "dpo", "mine", 1e-3, 1)
    with pytest.raises(InputError, match="Seed is empty"):
        asked.request(SAMPLES, "", "", "", "dpo", "mine", 1e-3, None)
    with pytest.raises(InputError, match="Learning rate is -1"):
        asked.request(SAMPLES, "", "", "", "dpo", "mine", -1, 1)


def _lines(runs: list) -> list[dict]:
    """Return the lines of the chart of runs."""
    drawn = run_curves(runs)
    assert drawn
    return json.loads(drawn.plot)["data"]


def test_an_adapter_s_own_steps_are_drawn_where_there_are_any(tuned_pair: ModelPair, adapter_folder: Path) -> None:
    assert tuned_pair.adapter
    assert tuned_pair.adapter.runs == []
    assert run_curves(tuned_pair.adapter.runs) is None
    beside = replace(tuned_pair.adapter, folder=SHIPPED_ADAPTERS / "sempa")
    assert [steps[-1]["samples"] for steps in beside.runs] == [2048]
    assert "Development score: " in run_words(beside.runs)
    assert len(_lines(beside.runs)) == 4


def test_every_run_of_an_average_is_drawn(tuned_pair: ModelPair, tmp_path: Path) -> None:
    assert tuned_pair.adapter
    for number, loss in ((1, 2.5), (2, 2.25), (10, 1.5)):
        steps = [{"samples": 64, "loss": 3.0}, {"samples": 128, "loss": loss, "score": 80 + number}]
        text = "".join(json.dumps(step) + "\n" for step in steps)
        (tmp_path / f"metrics-{number}.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "metrics-3.jsonl").write_text("no JSON", encoding="utf-8")
    runs = replace(tuned_pair.adapter, folder=tmp_path).runs
    assert "Loss: 2.5, 2.25, 1.5 after 128 pairs" in run_words(runs)
    assert "Development score: 81, 82, 90 after 128 pairs" in run_words(runs)
    drawn = _lines(runs)
    assert [line["y"] for line in drawn] == [[3.0, 2.5], [3.0, 2.25], [3.0, 1.5], [81], [82], [90]]
    assert [line["name"] for line in drawn][:2] == ["Loss, run 1", "Loss, run 2"]
    assert len({line["yaxis"] for line in drawn}) == 2


def test_a_run_is_shown_in_words_and_curves() -> None:
    lines = [
        {"samples": 64, "seconds": 2.0, "loss": 0.69, "rewards/margins": 0.0},
        {"samples": 128, "seconds": 1.5, "loss": 0.5, "rewards/margins": 0.25, "score": 71.5},
    ]
    seen = run_view(RunState("<mine>", True, lines, "step 2\n<b>", None))
    assert "&lt;mine&gt; is running; 128 pairs seen" in seen
    timed = RunState("mine", True, lines, "", None, total=1_152)  # 3.5 s for 128 pairs, 1,024 pairs left
    assert "mine is running; 128 of 1,152 pairs seen, about 28 s left" in run_view(timed)
    ended = RunState("mine", False, lines, "", Path("runs/mine"), scores=(57.04, 61.26))
    assert "development score 57.0 before, 61.3 after" in run_view(ended)
    assert "Loss: 0.5 after 128 pairs" in seen
    assert "Development score: 71.5 after 128 pairs" in seen
    assert "KL" not in seen
    assert "<b>" not in seen
    assert len(_lines([lines])) == 3
    assert "can be resumed" in run_view(RunState("mine", False, [], "", None, begun=True))
    assert "can be resumed" not in run_view(RunState("mine", False, [], "", None, begun=False))
    assert "its adapter is in runs/mine" in run_view(RunState("mine", False, lines, "", Path("runs/mine")))


def test_only_what_can_act_is_enabled() -> None:
    def able(state: RunState | None) -> list[bool]:
        return [update["interactive"] for update in actions(state)]

    assert able(None) == [False] * 4
    assert able(RunState("mine", True, [], "", None)) == [True, False, False, False]
    assert able(RunState("mine", False, [], "", None, begun=True)) == [False, True, False, True]
    assert able(RunState("mine", False, [], "", Path("runs/mine"))) == [False, False, True, True]


@pytest.mark.parametrize(("seconds", "words"), [(28.4, "28 s"), (89, "89 s"), (600, "10 min"), (7_300, "2 h")])
def test_a_time_is_told_in_its_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words
