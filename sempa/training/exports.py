"""Export preferences to other trainers, to repeat a run there."""

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
from sempa.training.examples import tokenize
from sempa.training.inputs import TrainRequest, run_triplets
from sempa.training.preferences import Preference, preferences

DATA_FILE = "preferences.jsonl"


def export(request: TrainRequest, report: Report = log.info) -> Path:
    """Write the preferences of a run in TRL's format, which other trainers read too, and return the data file.

    As in the run, held-out and over-long triplets are dropped. Sample count, order and learning rate are for the other
    trainer to set. Prompts are in the base's chat format, so train with a tokenizer that has no chat template to get
    the same token rows as here.
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
    return export_preferences(shown, request.output, partial(_without_bos, tokenizer))


def _without_bos(tokenizer: Any, request: str) -> str:
    """Return the rendered request without its BOS token if tokenising it would add a second one."""
    text = request_text(tokenizer, request)
    puts_first = tokenizer.bos_token and tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]
    return text.removeprefix(tokenizer.bos_token) if puts_first else text


def export_preferences(preferences: Sequence[Preference], folder: Path, render: Callable[[str], str]) -> Path:
    """Write pairs as JSON lines of prompt, chosen and rejected into a new folder and return the file.

    `render` puts a request in the base's chat format.
    Raises: InputError for an existing folder, or preferences that are not pairs; StorageError if the disk refuses.
    """
    if any(len(preference.responses) != 2 for preference in preferences):
        raise InputError("Only pairs can be exported: use --objective dpo.")
    with atomic_folder(folder, "The preferences") as aside, (aside / DATA_FILE).open("w", encoding="utf-8") as stream:
        for one in preferences:
            prompt, (chosen, rejected) = render(one.request) if one.chat else one.request, one.responses
            row = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return folder / DATA_FILE
