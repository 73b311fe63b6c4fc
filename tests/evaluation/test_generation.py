"""Harness tasks on local files: counted by hand, against the harness's own model, and paired tests."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sempa.errors import InputError
from sempa.evaluation.generation import TASKS, USUAL, generation_figures
from sempa.models.pair import ModelPair


def test_a_missing_file_is_named(tiny_pair: ModelPair, tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install lm_eval")
    with pytest.raises(InputError, match="arc_easy_val.jsonl does not exist"):
        generation_figures(tiny_pair, tmp_path, lambda _: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a few items of every task."""
    choices = {"text": ["red", "blue", "green"], "label": ["A", "B", "C"]}
    arc = [{"id": str(i), "question": f"Colour {i}?", "choices": choices, "answerKey": "ABC"[i % 3]} for i in range(6)]
    sciq = [
        {"question": f"Q{i}?", "distractor1": "a", "distractor2": "bb", "distractor3": "c", "correct_answer": "d"}
        | {"support": "It is d."}
        for i in range(4)
    ]
    lambada = [{"text": f"The dog saw the {word}"} for word in ("dog", "cat", "e")]
    truthful = "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n"
    truthful += 'A,B,"Why, then?",Because,Because; So,No; Never; No,x\nA,B,Who?,Me,Me,You,x\n'
    wiki = " \n = One = \n \n Some text , here . \n = = Part = = \n More . \n = Two = \n \n Other text . \n"
    gsm8k = [{"question": f"What is {i} and 1?", "answer": f"It is.\n#### {i + 1}"} for i in range(5)]
    drop = [
        {
            "query_id": str(i),
            "passage": f"There are {i} bees.",
            "question": "How many?",
            "answers": [[str(i)], ["bees"]],
        }
        for i in range(6)
    ]
    lines = {"arc_easy": arc, "sciq": sciq, "lambada_openai": lambada, "gsm8k_cot": gsm8k, "drop": drop}
    for name, rows in lines.items():
        (tmp_path / TASKS[name].file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / TASKS["truthfulqa_mc1"].file).write_text(truthful, encoding="utf-8")
    (tmp_path / TASKS["wikitext"].file).write_text(wiki, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("task", "content", "says"),
    [
        ("arc_easy", "", "arc_easy_val.jsonl is empty"),
        ("arc_easy", '{"question": ', "row 1 is not JSON"),
        (
            "truthfulqa_mc1",
            "Question,Answer\nWhat?,That.\n",
            "lacks the columns Best Answer, Incorrect Answers",
        ),
        ("drop", '{"answers": []}\n', "does not have the task's format .IndexError"),
    ],
)
def test_a_file_that_cannot_be_asked_is_one_sentence_and_never_the_hub_s(
    tiny_pair: ModelPair, tmp_path: Path, task: str, content: str, says: str
) -> None:
    pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install lm_eval")
    (tmp_path / TASKS[task].file).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        generation_figures(tiny_pair, tmp_path, print, tasks=[task])


@pytest.mark.filterwarnings("ignore")
def test_every_task_runs_on_local_files_and_counts_right(tuned_pair: ModelPair, folder: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install lm_eval")
    figures = generation_figures(tuned_pair, folder, lambda _: None)
    assert tuple(figures) == USUAL
    assert {task: figure["items"] for task, figure in figures.items()} == {
        "arc_easy": 6,
        "sciq": 4,
        "lambada_openai": 3,
        "truthfulqa_mc1": 2,
        "wikitext": 2,
    }
    for variant in ("base", "sempa"):
        assert figures["arc_easy"][variant]["figure"] == pytest.approx(_arc_by_hand(tuned_pair, variant), abs=1e-2)
    assert all("change" in figure for figure in figures.values())


def _arc_by_hand(pair: ModelPair, variant: str) -> float:
    right = 0
    for i in range(6):
        prompt = pair.tokenizer(f"Question: Colour {i}?\nAnswer:").input_ids
        logps = []
        for choice in ("red", "blue", "green"):
            answer = pair.tokenizer(f" {choice}").input_ids
            with torch.no_grad(), pair.using(variant) as model:
                rows = torch.log_softmax(model(torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0], dim=-1)
            logps.append(sum(rows[len(prompt) - 1 + k, token].item() for k, token in enumerate(answer)))
        right += int(np.argmax(logps)) == i % 3
    return 100 * right / 6


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
def test_figures_are_the_harness_s_own(folder: Path, model_folder: Path, make_pair: Callable[..., ModelPair]) -> None:
    """The same tasks with the harness's own Hugging Face model on the same weights."""
    lm_eval = pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install lm_eval")
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from sempa.evaluation.generation import _config, _items, _outcomes
    from sempa.evaluation.harness import HarnessModel

    pair = ModelPair.open(str(model_folder), precision="float32", device="cpu")
    theirs = HFLM(pretrained=str(model_folder), device="cpu", dtype="float32", batch_size=1)
    manager = TaskManager()
    for name, task in TASKS.items():
        if not task.file:
            continue
        room = folder / name
        room.mkdir()
        config = _config(manager.task_index[name].yaml_path, task, _items(task, folder), room)
        said = [
            lm_eval.simple_evaluate(m, tasks=[config], num_fewshot=task.shots, task_manager=manager)["samples"]
            for m in (HarnessModel(pair, "base"), theirs)
        ]
        if name in ("gsm8k_cot", "drop"):
            written = [[(s["arguments"], s["resps"]) for s in sorted(one[name], key=_number)] for one in said]
            assert written[0] == written[1]
        found = [_outcomes(task, samples) for samples in said]
        np.testing.assert_allclose(found[0], found[1], rtol=1e-4, err_msg=name)


def _number(sample: dict[str, Any]) -> int:
    return int(sample["doc_id"])


@pytest.mark.filterwarnings("ignore")
def test_drop_shows_three_examples_with_one_answer_each(folder: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install lm_eval")
    from lm_eval.tasks import TaskManager

    from sempa.evaluation.generation import _config, _items

    manager = TaskManager()
    config = _config(manager.task_index["drop"].yaml_path, TASKS["drop"], _items(TASKS["drop"], folder), folder)
    task = manager.load([config])["tasks"]["drop"]
    doc = next(iter(task.test_docs()))
    shown = task.fewshot_context(doc, num_fewshot=3)
    assert shown.endswith("There are 0 bees. How many?")
    examples = [text for text in shown.split("\n\n") if text][:-1]
    assert len(examples) == 3
    assert all(re.fullmatch(r"There are (\d) bees. How many\?\1", text) for text in examples)
    assert task.process_results(doc, ["0 bees"])["f1"] > task.process_results(doc, ["none"])["f1"]


def test_what_a_folder_cannot_give_is_said(tiny_pair: ModelPair, folder: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install lm_eval")
    with pytest.raises(InputError, match="no local file: measure it with --data hub"):
        generation_figures(tiny_pair, folder, lambda _: None, tasks=["mmlu"])
    with pytest.raises(InputError, match="no task 'poetry': choose arc_easy, "):
        generation_figures(tiny_pair, folder, lambda _: None, tasks=["poetry"])
