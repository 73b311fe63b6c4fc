"""The Train tab's views: the preview matches the training data, and a run shows its status and curves."""

import json
import zipfile
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
from sempa.ui.downloads import folder_zip
from sempa.ui.plots import run_curves, run_words, score_chart
from sempa.ui.train import actions, duration, log_view, run_view
from sempa.ui.train_form import FILE, SAMPLES, TrainForm, build_form, on_page, preview_view


@pytest.fixture
def asked() -> TrainForm:
    with gr.Blocks():
        return build_form(gr.Textbox())[0]


NUMBERS = (1200, 3e-4, 16, 0.0, 240, 42)
"""The form's own numbers for the sample triplets."""


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


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("max_samples is 0: it must be at least 1.", "Triplets is 0: it must be at least 1."),
        ("Try more triplets or another --lr.", "Try more triplets or another Learning rate."),
        ("Every triplet is longer than 9 tokens: raise --max-length.", "Every triplet is longer than 9 tokens."),
        ("The GPU is out of memory: continue with --resume --output a.b and\na --token-cap below 9, on a GPU.",
         "The GPU is out of memory."),
        ("t.csv has the columns a, b.", "t.csv has the columns a, b."),
    ],
)  # fmt: skip
def test_an_error_of_train_py_is_told_in_the_page_s_words(told: str, shown: str) -> None:
    assert on_page(told) == shown


def test_settings_are_the_form_s_numbers(asked: TrainForm) -> None:
    settings = asked.request(SAMPLES, "", "", "", "joint", "mine", 600, 1e-3, *NUMBERS[2:5], 7).settings
    assert settings == {
        "objective": "joint", "max_samples": 600, "lr": 1e-3, "batch_size": 16, "kl_weight": 0.0, "seed": 7
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("max_samples", None, "Triplets: choose a whole number from 1 to 10,000,000."),
        ("batch_size", 0, "Batch size: choose a whole number from 1 to 4,096."),
        ("batch_size", 2.5, "Batch size: choose a whole number from 1 to 4,096."),
        ("lr", -1, "Learning rate: choose a number from 0.000001 to 1."),
        ("evaluate_every", None, "Triplets between scores: choose a whole number from 1 to 10,000,000."),
    ],
)
def test_a_wrong_number_is_told_with_its_label_and_limits(
    asked: TrainForm, name: str, given: float | None, told: str
) -> None:
    assert str(asked.numbers[name].preprocess(given)) == told
    assert asked.numbers[name].preprocess(1) == 1


def test_the_recipe_s_own_pairs_keep_the_recipe_s_schedule() -> None:
    asked = TrainForm([], {"max_samples": gr.Number()})
    kept, changed = (asked.request(FILE, "a.csv", "", "", "dpo", "mine", count).settings for count in (3072, 500))
    assert kept == {"objective": "dpo"}
    assert changed == {"objective": "dpo", "max_samples": 500}
    assert RECIPES["small"].stop_after == 3072


def test_what_cannot_be_trained_is_told_before_it_starts(asked: TrainForm) -> None:
    with pytest.raises(InputError, match="no triplets yet"):
        asked.request(FILE, "", "", "", "dpo", "mine", *NUMBERS)


def _lines(runs: list) -> list[dict]:
    """Return the lines of the chart of runs."""
    drawn = run_curves(runs)
    assert drawn
    return json.loads(drawn.plot)["data"]


def test_an_adapter_s_own_steps_are_drawn_where_there_are_any(tuned_pair: ModelPair, adapter_folder: Path) -> None:
    assert tuned_pair.adapter
    assert tuned_pair.adapter.runs == []
    assert run_curves(tuned_pair.adapter.runs) is None
    beside = replace(tuned_pair.adapter, folder=SHIPPED_ADAPTERS / "sempa-dpo")
    assert [steps[-1]["samples"] for steps in beside.runs] == [2048]
    assert "; Score: " in run_words(beside.runs)
    assert len(_lines(beside.runs)) == 4


def test_every_run_of_an_average_is_drawn(tuned_pair: ModelPair, tmp_path: Path) -> None:
    assert tuned_pair.adapter
    for number, loss in ((1, 2.5), (2, 2.25), (10, 1.5)):
        steps = [{"samples": 64, "loss": 3.0}, {"samples": 128, "loss": loss, "score": 80 + number}]
        text = "".join(json.dumps(step) + "\n" for step in steps)
        (tmp_path / f"metrics-{number}.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "metrics-3.jsonl").write_text("no JSON", encoding="utf-8")
    runs = replace(tuned_pair.adapter, folder=tmp_path).runs
    assert "Loss: 2.5, 2.25, 1.5 after 128 triplets" in run_words(runs)
    assert "Score: 81, 82, 90 after 128 triplets" in run_words(runs)
    drawn = _lines(runs)
    assert [line["y"] for line in drawn] == [[3.0, 2.5], [3.0, 2.25], [3.0, 1.5], [81], [82], [90]]
    assert [line["name"] for line in drawn][:2] == ["Loss, run 1", "Loss, run 2"]
    assert len({line["yaxis"] for line in drawn}) == 2


def test_a_run_is_shown_in_words_and_curves() -> None:
    lines = [
        {"samples": 64, "seconds": 2.0, "loss": 0.69, "rewards/margins": 0.0},
        {"samples": 128, "seconds": 1.5, "loss": 0.5, "rewards/margins": 0.25, "score": 71.5},
    ]
    running = RunState("<mine>", True, lines, "step 2\n<b>", None)
    assert "&lt;mine&gt; is running: 128 triplets seen" in run_view(running)
    timed = replace(running, name="mine", total=1_152)  # 3.5 s for 128 triplets, 1,024 left
    assert "mine is running: 128 of 1,152 triplets seen, about 28 s left" in run_view(timed)
    assert '<progress class="sp-bar" aria-label="Progress" value="128" max="1152">' in run_view(timed)
    assert "Base model: 57.00." in run_view(RunState("mine", True, [], "x\nBase model: 57.00.", None))
    assert "Loss: 0.5 after 128 triplets" in log_view(running)
    assert "Score: 71.5 after 128 triplets" in log_view(running)
    assert "KL" not in log_view(running)
    assert "<b>" not in log_view(running)
    assert len(_lines([lines])) == 3


def test_the_end_of_a_run_says_what_came_of_it() -> None:
    held = "the share (%) of 50 held-out triplets"
    ended = RunState("mine", False, [], "", Path("runs/mine"), score_name=held, before=57.04, after=61.16)
    assert "Before 57.0, after 61.2: try it." in run_view(ended)
    assert f"Score: {held}. The adapter is in runs/mine." in run_view(ended)
    assert "development" not in run_view(ended).lower()
    assert "after 56.0: no better than the base model" in run_view(replace(ended, after=56.0))
    steps = [{"samples": 128, "seconds": 1.5}]
    stopped = RunState("mine", False, steps, "", None, begun=True, total=256)
    assert "mine was stopped after 128 of 256 triplets and can be resumed" in run_view(stopped)
    assert "can be resumed" not in run_view(RunState("mine", False, [], "", None))
    failed = RunState("mine", False, [], "Settings\ntrain.py: lr is 2: it must be at most 1.", None)
    assert "mine failed: Learning rate is 2: it must be at most 1." in run_view(failed)
    assert 'role="alert"' in run_view(failed)
    assert not replace(failed, running=True).error


def test_the_score_is_drawn_against_the_base_model_s_level() -> None:
    base, adapter = json.loads(score_chart(57.0, [(240, 58.5), (480, 61.2)], 1200).plot)["data"]
    assert (base["x"], base["y"]) == ([0, 1200], [57.0, 57.0])
    assert (adapter["x"], adapter["y"]) == ([0, 240, 480], [57.0, 58.5, 61.2])


def test_only_what_can_act_is_enabled() -> None:
    """Start, Stop, Resume, Use, Delete."""
    stopped = RunState("mine", False, [], "", None, begun=True)
    assert actions(None, busy=False) == [True, False, False, False, False]
    assert actions(None, busy=True) == [False, True, False, False, False]
    assert actions(RunState("mine", True, [], "", None), busy=True) == [False, True, False, False, False]
    assert actions(stopped, busy=False) == [True, False, True, False, True]
    assert actions(stopped, busy=True) == [False, True, False, False, True]
    assert actions(RunState("mine", False, [], "", Path("runs/mine")), busy=False) == [True, False, False, True, True]


def test_an_adapter_is_downloaded_as_one_zip(adapter_folder: Path) -> None:
    with zipfile.ZipFile(folder_zip(adapter_folder)) as made:
        for file in adapter_folder.iterdir():
            assert made.read(f"{adapter_folder.name}/{file.name}") == file.read_bytes()
        assert f"{adapter_folder.name}/adapter_model.safetensors" in made.namelist()


@pytest.mark.parametrize(("seconds", "words"), [(28.4, "28 s"), (89, "89 s"), (600, "10 min"), (7_300, "2 h")])
def test_a_time_is_told_in_its_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words
