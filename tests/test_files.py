"""Atomic folders: complete or absent, without touching an unfinished training run beside them."""

import subprocess
import sys
from pathlib import Path

import pytest

from sempa.errors import InputError, StorageError
from sempa.files import atomic_file, atomic_folder, cache_folder, locked, require_unchanged, tidy, write_checksums
from sempa.training.run_folder import RunFolder

ROOT = Path(__file__).parents[1]


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


def _left(parent: Path, **files: str) -> None:
    """Make folders that each hold a file with a text: `new` for `.made-new-...`, `old` likewise, `made` itself."""
    for name, text in files.items():
        folder = parent / (name if name == "made" else f".made-{name}-0123abcd")
        folder.mkdir(parents=True)
        (folder / "file").write_text(text)


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        ({"new": "half"}, None),
        ({"new": "half", "made": "old"}, "old"),
        ({"new": "whole", "old": "old"}, "whole"),
        ({"old": "old"}, "old"),
        ({"old": "old", "made": "whole"}, "whole"),
    ],
    ids=["first write", "before the swap", "between both renames", "old alone", "after the swap"],
)
def test_what_a_killed_process_left_is_finished_or_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, left: dict[str, str], kept: str | None
) -> None:
    _left(tmp_path, **left)
    tidy(tmp_path)
    assert {path.name: (path / "file").read_text() for path in tmp_path.iterdir()} == ({"made": kept} if kept else {})
    assert "killed" in caplog.text


def test_a_folder_being_written_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with atomic_folder(tmp_path / "made", "It") as aside:
        (aside / "file").write_text("x")
        tidy(tmp_path)
        assert (aside / "file").is_file()
    _left(tmp_path, new="half", old="old")
    (tmp_path / "made" / "file").unlink()
    (tmp_path / "made").rmdir()
    with locked(tmp_path / ".made-new-0123abcd"):
        tidy(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert caplog.text == ""


def test_a_killed_write_is_cleared_by_the_next_one(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from sempa.files import atomic_folder\n"
        "with atomic_folder(pathlib.Path(sys.argv[1]), 'It') as aside: (aside / 'file').write_text('x'); os._exit(9)"
    )
    target = tmp_path / "made"
    assert subprocess.run([sys.executable, "-c", code, target], cwd=ROOT).returncode == 9
    assert [path.name[:10] for path in tmp_path.iterdir()] == [".made-new-"]
    with atomic_folder(target, "It") as aside:
        (aside / "file").write_text("y")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_changed_or_missing_file_is_named_by_its_checksum(tmp_path: Path) -> None:
    require_unchanged(tmp_path)  # a folder of another program
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    write_checksums(tmp_path, ["b", "a"])
    require_unchanged(tmp_path)
    (tmp_path / "b").write_text("c")
    with pytest.raises(StorageError, match="b is not the file that SHA256SUMS names, so it is damaged"):
        require_unchanged(tmp_path)
    (tmp_path / "a").unlink()
    with pytest.raises(StorageError, match="a is missing, but SHA256SUMS names it"):
        require_unchanged(tmp_path)
    (tmp_path / "SHA256SUMS").write_bytes(b"\xff\n")
    with pytest.raises(StorageError, match="is not the file that SHA256SUMS names"):
        require_unchanged(tmp_path)
