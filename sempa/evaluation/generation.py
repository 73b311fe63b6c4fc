"""Measure knowledge and text prediction with lm-evaluation-harness, on local files or hub data sets."""

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from sempa.config import EncoderConfig
from sempa.data.rows import read_rows, read_text, subsample, texts_of
from sempa.errors import InputError, ModelUnavailable
from sempa.evaluation.statistics import ACCURACY, F1, WORD_PERPLEXITY, Cache, Measure, Outcomes, paired_figures
from sempa.models.pair import ModelPair


@dataclass(frozen=True)
class Task:
    """Describe a harness task: its metric, item file, number of few-shot examples and measure.

    Without a `file`, items come only from the hub; `shots` None keeps the task's own number of examples.
    """

    metric: str
    file: str = ""
    shots: int | None = None
    measure: Measure = ACCURACY


PERPLEXITY = "wikitext"
TASKS = {
    "arc_easy": Task("acc", "arc_easy_val.jsonl"),
    "sciq": Task("acc", "sciq_val.jsonl"),
    "lambada_openai": Task("acc", "lambada_test.jsonl"),
    "truthfulqa_mc1": Task("acc", "truthfulqa.csv"),
    PERPLEXITY: Task("word_perplexity", "wikitext2_valid.txt", measure=WORD_PERPLEXITY),
    "gsm8k_cot": Task("exact_match", "gsm8k_test.jsonl"),
    "drop": Task("f1", "drop_dev_sample1000.jsonl", 3, F1),
    "hellaswag": Task("acc_norm"),
    "mmlu": Task("acc", shots=5),
}
"""Tasks by their harness names. Source of metrics and shots: Chen et al. 2026, for the tasks measured there."""
USUAL = ("arc_easy", "sciq", "lambada_openai", "truthfulqa_mc1", PERPLEXITY)
"""Default for a local folder: the others need the hub, or hours on a CPU."""
PAPER = ("gsm8k_cot", "mmlu", "hellaswag", "drop", "truthfulqa_mc1")
"""Default for hub data."""


def generation_figures(
    pair: ModelPair,
    data: Path | None,
    report: Callable[[str], None],
    limit: int | None = None,
    tasks: Sequence[str] = (),
    variants: Sequence[str] = (),
    cache: Cache = lambda _, compute: compute(),
) -> dict[str, dict[str, Any]]:
    """Return each task's figures by variant and, for two variants, the change with its interval and paired test.

    `data` is a folder of task files, or None for hub data sets as the harness loads them. `limit` measures about that
    many items: every n-th item of a file, or the first items of each part from the hub. `tasks` are names in TASKS
    (default: USUAL for a folder, PAPER for the hub); `variants` restricts the run to one of the two. `cache` receives a
    request and the function that computes its outcomes, so that the base is measured once for all adapters.
    Accuracies and F1 are in %; plain text has word perplexity. Changes are positive if the aligned model is better.
    Source: Gao et al., lm-evaluation-harness, task definitions as packaged there.
    Raises: InputError if lm_eval is not installed, a task is unknown or a file is missing; ModelUnavailable if a hub
    data set cannot be loaded.
    """
    names = tasks or (USUAL if data else PAPER)
    if unknown := [name for name in names if name not in TASKS]:
        raise InputError(f"There is no task {unknown[0]!r}: choose {', '.join(TASKS)}.")
    local = {name: subsample(_items(TASKS[name], data), limit) for name in names} if data else {}
    manager = _task_manager()
    figures = {}
    for name in names:
        task, items = TASKS[name], local.get(name)
        with tempfile.TemporaryDirectory() as folder:
            config = _config(manager.task_index[name].yaml_path, task, items, Path(folder)) if items else name
            outcomes = {}
            for variant in variants or pair.variants:
                report(f"{name}, {variant}: {f'{len(items):,} items' if items else 'from the hub'}.")
                request: dict[str, Any] = {"task": name, "model": asdict(pair.recipe(variant, EncoderConfig()))}
                request |= {"items": items} if items else {"hub": limit}
                compute = partial(_measure, HarnessTask(config, task, manager, None if items else limit), pair, variant)
                outcomes[variant] = cache(request, compute)
        figures[name] = paired_figures(outcomes, task.measure)
    return figures


@cache
def _task_manager() -> Any:
    """Return the harness's task index; loading it takes seconds."""
    try:
        from lm_eval.tasks import TaskManager
    except ImportError:
        raise InputError("Measuring generation needs the harness: pip install lm_eval.") from None
    return TaskManager()


@dataclass(frozen=True)
class HarnessTask:
    """Hold a task in the harness's form: its name or file, its description, the task index, the limit per part."""

    config: str
    task: Task
    manager: Any
    limit: int | None


def _measure(given: HarnessTask, pair: ModelPair, variant: str) -> Outcomes:
    import lm_eval
    from datasets.exceptions import DatasetsError

    from sempa.evaluation.harness import HarnessModel

    try:
        results = lm_eval.simple_evaluate(
            HarnessModel(pair, variant),
            tasks=[given.config],
            num_fewshot=given.task.shots,
            limit=given.limit,
            bootstrap_iters=0,
            task_manager=given.manager,
        )
    except (OSError, DatasetsError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelUnavailable(f"The hub did not deliver the data of {given.config}: {reason}") from error
    return _outcomes(given.task, results["samples"])


def _items(task: Task, data: Path) -> list[dict[str, Any]]:
    if not task.file:
        raise InputError("This task has no local file: measure it with --data hub.")
    path = data / task.file
    if not path.is_file():
        usual = ", ".join(TASKS[name].file for name in USUAL)
        raise InputError(f"{path} does not exist: --data needs a folder with {usual}.")
    try:
        items = _read(path)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{path} does not have the task's format ({error!r}): compare it with the hub's data set."
        ) from None
    if not items:
        raise InputError(f"{path} is empty.")
    return items


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        # Few-shot examples show one answer; hub rows have it beside the list of all answers.
        rows: list[dict[str, Any]] = [dict(row) for row in read_rows(path)]
        return [row | {"answer": row["answers"][0]} if "answers" in row else row for row in rows]
    if path.suffix == ".csv":
        names = ("Question", "Best Answer", "Incorrect Answers")
        return [_truthful_choices(*cells) for cells in texts_of(read_rows(path), names, str(path))]
    return [{"page": page} for page in re.split(r"\n(?= = [^=])", read_text(path)) if page.strip()]


def _truthful_choices(question: str, best: str, incorrect: str) -> dict[str, Any]:
    """Convert a TruthfulQA row to single choice: the best answer first, then every incorrect one."""
    choices = [best, *(answer.strip() for answer in incorrect.split(";"))]
    choices = list(dict.fromkeys(choice for choice in choices if choice))
    labels = [1] + [0] * (len(choices) - 1)
    return {"question": question, "mc1_targets": {"choices": choices, "labels": labels}}


def _config(packaged: Path, task: Task, items: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """Write the harness's task with these items in place of the hub's and return the file."""
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    changed = {
        "include": str(packaged),
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(folder)},
        "training_split": None,
        "validation_split": None,
        "test_split": "test",
    }
    if task.shots:
        changed["fewshot_split"] = "test"  # an item is never its own example
    if "answers" in items[0]:  # DROP: the harness has prepared these rows
        changed["process_docs"] = None
    written = folder / "task.yaml"
    written.write_text(json.dumps(changed), encoding="utf-8")  # JSON is YAML
    return str(written)


def _outcomes(task: Task, samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> np.ndarray:
    """Return the items' outcomes, part by part; a part of MMLU is a subject."""
    found = [
        sample
        for part in sorted(samples)
        for sample in sorted(samples[part], key=lambda sample: sample["doc_id"])
        if sample.get("filter") in (None, "none", "flexible-extract")
    ]
    return np.array([sample[task.metric] for sample in found], dtype=float)
