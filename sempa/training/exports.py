"""Export preferences to the formats of other trainers, to repeat a run there."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sempa.errors import InputError
from sempa.files import atomic_folder
from sempa.models.load import Report, read_tokenizer
from sempa.models.prompts import request_text
from sempa.models.source import locate, log
from sempa.templates import SYSTEM_PROMPT
from sempa.training.examples import tokenize
from sempa.training.inputs import TrainRequest, run_triplets
from sempa.training.preferences import Preference, preferences

DATA_FILE = {"trl": "preferences.jsonl", "swift": "preferences.jsonl", "llama-factory": "preferences.json"}


def export(request: TrainRequest, form: str, report: Report = log.info) -> Path:
    """Write the preferences of a run in the format of another trainer and return the data file.

    As in the run, held-out and over-long triplets are dropped. Sample count, order and learning rate are for the other
    trainer to set.
    Raises: any SempaError of the parts.
    """
    triplets, held, read = run_triplets(request)
    report(f"{request.data or 'Sample triplets'}: {read}{f'; {len(held)} held out' if held else ''}.")
    tokenizer = read_tokenizer(locate(request.base, None, report))
    shown = preferences(triplets, request.config)
    _, too_long = tokenize(tokenizer, shown, request.config.max_length)
    if too_long:
        report(f"Left out {len(too_long)} triplets longer than {request.config.max_length} tokens.")
        long = set(too_long)
        shown = [preference for preference in shown if preference not in long]
    return export_preferences(shown, form, request.output, partial(_without_bos, tokenizer))


def _without_bos(tokenizer: Any, request: str) -> str:
    """Return the rendered request without its BOS token if tokenising it would add a second one."""
    text = request_text(tokenizer, request)
    puts_first = tokenizer.bos_token and tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]
    return text.removeprefix(tokenizer.bos_token) if puts_first else text


def export_preferences(
    preferences: Sequence[Preference], form: str, folder: Path, render: Callable[[str], str]
) -> Path:
    """Write chosen and rejected answers into a new folder and return the data file.

    "trl": JSONL of prompt, chosen and rejected. `render` puts prompts in the base's chat format, so train with a
    tokenizer that has no chat template to get the same token rows as here.
    "swift": JSONL of messages and rejected_response.
    "llama-factory": a JSON list in alpaca format, and a dataset_info.json that names it `sempa`.
    The last two apply the chat format themselves.
    Raises: InputError for an unknown format, an existing folder, or preferences that are not pairs; StorageError if the
    disk refuses.
    """
    if form not in DATA_FILE:
        raise InputError(f"Export format {form!r} is unknown: choose {', '.join(DATA_FILE)}.")
    if any(len(preference.responses) != 2 for preference in preferences):
        raise InputError("Only pairs can be exported: use --objective dpo.")
    if form != "trl" and not all(preference.chat for preference in preferences):
        raise InputError(f"{form} puts every prompt into the chat format: use --prompt-format chat, or export for trl.")
    rows = [_row(preference, form, render) for preference in preferences]
    if form == "llama-factory":
        text = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    else:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with atomic_folder(folder, "The preferences") as aside:
        (aside / DATA_FILE[form]).write_text(text, encoding="utf-8")
        if form == "llama-factory":
            (aside / "dataset_info.json").write_text(json.dumps(_DATASET_INFO, indent=2) + "\n", encoding="utf-8")
    return folder / DATA_FILE[form]


def _row(preference: Preference, form: str, render: Callable[[str], str]) -> dict[str, Any]:
    chosen, rejected = preference.responses
    if form == "trl":
        return {
            "prompt": render(preference.request) if preference.chat else preference.request,
            "chosen": chosen,
            "rejected": rejected,
        }
    if form == "llama-factory":
        return {"system": SYSTEM_PROMPT, "instruction": preference.request, "chosen": chosen, "rejected": rejected}
    turns = (("system", SYSTEM_PROMPT), ("user", preference.request), ("assistant", chosen))
    return {"messages": [{"role": role, "content": text} for role, text in turns], "rejected_response": rejected}


_DATASET_INFO = {
    "sempa": {
        "file_name": DATA_FILE["llama-factory"],
        "ranking": True,
        "columns": {"prompt": "instruction", "system": "system", "chosen": "chosen", "rejected": "rejected"},
    }
}
