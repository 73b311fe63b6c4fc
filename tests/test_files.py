"""Atomic folders: complete or absent, without touching an unfinished training run beside them."""

from pathlib import Path

import pytest

from sempa.errors import InputError, StorageError
from sempa.files import atomic_file, atomic_folder, cache_folder
from sempa.training.run_folder import RunFolder


def test_a_folder_gets_its_name_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "made"
    with atomic_folder(target, "It") as aside:
        (aside / "file").write_text("x")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["file"]
    assert [path.name for path in target.parent.iterdir()] == ["made"]
    with pytest.raises(InputError, match="exists already"), atomic_folder(target, "It"):
        pytest.fail("entered")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (OSError(28, "No space left on device"), StorageError, "It could not be written to .*No space left on device"),
        (InputError("not so"), InputError, "not so"),
        (KeyboardInterrupt("by hand"), KeyboardInterrupt, "by hand"),
    ],
)
def test_what_breaks_off_leaves_nothing(
    tmp_path: Path, error: BaseException, kind: type[BaseException], says: str
) -> None:
    def write() -> None:
        with atomic_folder(tmp_path / "made", "It") as aside:
            (aside / "file").write_text("x")
            raise error

    with pytest.raises(kind, match=says):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_broken_off_stays(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path / "mine", {"seed": 1}, resume=False)
    run.begin({"seed": 1})
    run.release()
    with atomic_folder(tmp_path / "mine", "Something else of that name") as aside:
        (aside / "file").write_text("x")
    assert run.begun


def test_a_file_is_replaced_at_the_end_or_stays(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.npy"

    def write(text: str, error: Exception | None = None) -> None:
        with atomic_file(target, "It") as aside:
            aside.write_text(text)
            if error:
                raise error

    write("old")
    with pytest.raises(StorageError, match="It could not be written to .*full.: make room there"):
        write("half", OSError(28, "full"))
    assert {path.name: path.read_text() for path in target.parent.iterdir()} == {"file.npy": "old"}


def test_a_folder_can_be_replaced(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "made", "It", replace=True) as aside:
            (aside / text).write_text(text)
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "new"]


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMPA_CACHE", "~/models")
    assert cache_folder() == Path.home() / "models"
    monkeypatch.delenv("SEMPA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert cache_folder() == Path("/var/cache/sempa")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "sempa"
