"""Rows of a data set on the hub, through the hub's own clients."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sempa.errors import InputError, ModelUnavailable
from sempa.models.source import can_be_hub_id


def hub_rows(spec: str, split: str) -> Iterable[Mapping[str, object]]:
    """Yield the rows of `owner/name`, `owner/name:subset` or `owner/name:file.csv|.jsonl` as mappings.

    A named file is fetched and read as it is, since `datasets` reads sentences such as "None" as missing values.
    Raises: ModelUnavailable if the hub does not give it; InputError if the spec is no hub id.
    """
    name, _, part = spec.partition(":")
    if "/" not in name or not can_be_hub_id(name):
        raise InputError(f"{spec} is neither a file here nor a hub data set (owner/name, owner/name:subset).")
    try:
        if part.endswith((".csv", ".jsonl")):
            from huggingface_hub import hf_hub_download

            return _file_rows(Path(hf_hub_download(name, part, repo_type="dataset")))
        from datasets import load_dataset

        return load_dataset(name, part or None, split=split)
    except Exception as error:  # datasets and the hub client raise their own, httpx's, OSError's and ValueError's
        reason = " ".join(str(error).split())[:200]
        raise ModelUnavailable(f"The data set {spec} is no file here and the hub did not give it: {reason}") from error


def _file_rows(path: Path) -> Iterator[Mapping[str, object]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if path.suffix == ".csv":
                yield from csv.DictReader(stream)
            else:
                yield from (json.loads(line) for line in stream if line.strip())
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path.name} of the hub cannot be read as {path.suffix[1:].upper()} ({error}).") from error
