"""What a model still knows and how well it predicts text: the harness's own tasks on local files, paired by item."""

import csv
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sempa.config import EncoderConfig
from sempa.errors import InputError
from sempa.evidence.paired import ACCURACY, WORD_PERPLEXITY, Outcomes, paired_figures
from sempa.evidence.thinned import thinned
from sempa.models.pair import ModelPair

TASKS = {
    "arc_easy": "arc_easy_val.jsonl",
    "sciq": "sciq_val.jsonl",
    "lambada_openai": "lambada_test.jsonl",
    "truthfulqa_mc1": "truthfulqa.csv",
    "wikitext": "wikitext2_valid.txt",
}
"""The harness's task names and the files of a local folder they are fed from."""
WRITTEN = {"gsm8k_cot": "gsm8k_test.jsonl"}
"""Tasks for which the model must write; they take hours on a processor, so they are measured when asked for."""

PERPLEXITY = "wikitext"

Remember = Callable[[Mapping[str, Any], Callable[[], Outcomes]], Outcomes]


def generation_figures(
    pair: ModelPair,
    data: Path,
    report: Callable[[str], None],
    limit: int | None = None,
    tasks: Sequence[str] = (),
    variants: Sequence[str] = (),
    remember: Remember = lambda _, compute: compute(),
) -> dict[str, dict[str, Any]]:
    """Return each task's figures by variant, and for two variants the change with its interval and paired test.

    `limit` takes every n-th item so that about so many are left; `tasks` are some of TASKS and WRITTEN (default: all of
    TASKS), `variants` restricts to one of the two. `remember` is given what was asked of which model and what computes
    the outcomes, so that the base is not asked the same again.
    Accuracies are in per cent; for the text it is the word perplexity. Changes are positive where the aligned model
    is better, whatever the measure.
    Source: Gao et al., lm-evaluation-harness, task definitions as packaged there.
    Raises: InputError if lm_eval is not installed or a file is missing.
    """
    try:
        from lm_eval.tasks import TaskManager
    except ImportError:
        raise InputError("Measuring generation needs the harness: pip install lm_eval.") from None
    manager = TaskManager()
    figures = {}
    for task in tasks or TASKS:
        with tempfile.TemporaryDirectory() as folder:
            items = thinned(_items(task, data), limit)
            config = _task(manager.task_index[task].yaml_path, items, Path(folder))
            outcomes = {}
            for variant in variants or pair.variants:
                report(f"{task}, {variant}: {len(items):,} items.")

                asked = {"task": task, "items": items, "model": asdict(pair.recipe(variant, EncoderConfig()))}
                outcomes[variant] = remember(asked, partial(_asked, pair, variant, task, config, manager))
        figures[task] = paired_figures(outcomes, WORD_PERPLEXITY if task == PERPLEXITY else ACCURACY)
    return figures


def _asked(pair: ModelPair, variant: str, task: str, config: str, manager: Any) -> Outcomes:
    import lm_eval

    from sempa.evidence.harness import HarnessModel

    results = lm_eval.simple_evaluate(
        HarnessModel(pair, variant), tasks=[config], bootstrap_iters=0, task_manager=manager
    )
    return _outcomes(task, results["samples"][task])


def _items(task: str, data: Path) -> list[dict[str, Any]]:
    files = TASKS | WRITTEN
    if task not in files:
        raise InputError(f"There is no task {task!r} here: choose {', '.join(files)}.")
    path = data / files[task]
    if not path.is_file():
        raise InputError(f"{path} is not there: --data needs a folder with {', '.join(TASKS.values())}.")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if path.suffix == ".csv":
        return [_truthful_choices(row) for row in csv.DictReader(text.splitlines(keepends=True))]
    return [{"page": page} for page in re.split(r"\n(?= = [^=])", text) if page.strip()]


def _truthful_choices(row: Mapping[str, str]) -> dict[str, Any]:
    """Return the single-choice form of a TruthfulQA row: the best answer first, then every incorrect one."""
    choices = [row["Best Answer"], *(answer.strip() for answer in row["Incorrect Answers"].split(";"))]
    choices = list(dict.fromkeys(choice for choice in choices if choice))
    labels = [1] + [0] * (len(choices) - 1)
    return {"question": row["Question"], "mc1_targets": {"choices": choices, "labels": labels}}


def _task(packaged: Path, items: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """Write a task that is the harness's packaged one, fed from these items instead of the hub; return its file."""
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
    task = folder / "task.yaml"
    task.write_text(json.dumps(changed), encoding="utf-8")  # JSON is YAML
    return str(task)


def _outcomes(task: str, samples: Sequence[Mapping[str, Any]]) -> np.ndarray:
    found = [sample for sample in samples if sample.get("filter") in (None, "none", "flexible-extract")]
    ordered = sorted(found, key=lambda sample: sample["doc_id"])
    if task in WRITTEN:
        return np.array([sample["exact_match"] for sample in ordered], dtype=float)
    if task == PERPLEXITY:
        return np.array([sample["word_perplexity"] for sample in ordered], dtype=float)
    return np.array([sample["acc"] for sample in ordered], dtype=float)
