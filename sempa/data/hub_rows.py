"""Rows of a file or of a data set on the hub, through the hub's own clients."""

from collections.abc import Iterable
from pathlib import Path

from sempa.data.rows import TABLES, Row, read_rows
from sempa.errors import InputError, ModelUnavailable
from sempa.models.source import can_be_hub_id


def rows_of(source: str, split: str) -> Iterable[Row]:
    """Return the rows of a file, or of a hub data set's split.

    Raises: what `read_rows` and `hub_rows` raise.
    """
    path = Path(source)
    is_path = path.is_file() or (path.suffix.lower() in TABLES and ":" not in source)
    return read_rows(path) if is_path else hub_rows(source, split)


def hub_rows(spec: str, split: str) -> Iterable[Row]:
    """Return the rows of `owner/name`, `owner/name:subset` or `owner/name:file.csv|.jsonl`.

    A named file is fetched and read as it is, since `datasets` reads sentences such as "None" as missing values.
    Raises: ModelUnavailable if the hub does not deliver it; InputError if the spec is not a hub id.
    """
    name, _, part = spec.partition(":")
    if "/" not in name or not can_be_hub_id(name):
        raise InputError(f"{spec} is neither a local file nor a hub data set (owner/name, owner/name:subset).")
    try:
        if part.endswith(TABLES):
            from huggingface_hub import hf_hub_download

            return read_rows(Path(hf_hub_download(name, part, repo_type="dataset")), spec)
        from datasets import load_dataset

        return load_dataset(name, part or None, split=split)
    except Exception as error:  # datasets and the hub client raise their own, httpx's, OSError's and ValueError's
        reason = " ".join(str(error).split())[:200]
        raise ModelUnavailable(
            f"The data set {spec} is not a local file, and the hub did not deliver it: {reason}"
        ) from error
