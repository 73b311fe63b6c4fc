"""A run's folder: complete or absent, mismatches named, and safe on a full disk."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch

from sempa.errors import InputError, RecipeMismatch, StorageError
from sempa.training.run_folder import Checkpoint, RunFolder

FACTS = {"base_model": "tiny", "config": {"lr": 1e-4, "seed": 1}, "data": {"sha256": "ab", "rows": [1, 2]}, "dev": None}
FullDisk = Callable[[int], AbstractContextManager[None]]


def _begun(output: Path) -> RunFolder:
    run = RunFolder.open(output, FACTS, resume=False)
    run.begin(FACTS)
    return run


def _checkpoint(step: int, size: int = 4) -> Checkpoint:
    return Checkpoint({"weight": torch.full((size,), float(step))}, {"step": step, "best": None})


def test_opening_writes_nothing(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", FACTS, resume=False)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    first, second = (RunFolder.open(tmp_path / "run", FACTS, resume=False) for _ in range(2))
    first.begin(FACTS)
    first.save_checkpoint(3, _checkpoint(3))
    with pytest.raises(InputError, match="under way in another process"):
        second.begin(FACTS)
    resumed = RunFolder.open(tmp_path / "run", FACTS, resume=True)
    with pytest.raises(InputError, match="under way in another process"):
        resumed.begin(FACTS)
    first.release()
    resumed.begin(FACTS)
    assert resumed.load_checkpoint().facts["step"] == 3


def test_a_run_is_partial_until_it_is_finished(tmp_path: Path) -> None:
    run = _begun(tmp_path / "deep" / "run")
    run.append({"step": 0})
    run.save_checkpoint(1, _checkpoint(1))
    best = run.scored_folder(16)
    best.mkdir(parents=True)
    (best / "adapter_model.safetensors").write_bytes(b"weights")
    assert not run.output.exists()
    assert run.finish(best) == run.output
    assert {file.name for file in run.output.iterdir()} == {"metrics.jsonl", "adapter_model.safetensors"}
    assert not run.partial.exists()


def test_every_scored_adapter_can_be_kept(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path / "run", FACTS, resume=False, keep_checkpoints=True)
    run.begin(FACTS)
    for samples in (16, 32):
        run.scored_folder(samples).mkdir(parents=True)
        (run.scored_folder(samples) / "adapter_model.safetensors").write_text(str(samples))
    output = run.finish(run.scored_folder(16))
    assert (output / "adapter_model.safetensors").read_text() == "16"
    kept = {path.parent.name: path.read_text() for path in output.glob("scored/*/*")}
    assert kept == {"000000016": "16", "000000032": "32"}


def test_an_output_that_exists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for resume in (False, True):
        with pytest.raises(InputError, match="run exists already: choose another --output"):
            RunFolder.open(tmp_path / "run", FACTS, resume=resume)


def test_what_a_run_left_that_was_killed_after_its_end_is_removed(tmp_path: Path) -> None:
    run = _begun(tmp_path / "run")
    run.scored_folder(1).mkdir(parents=True)
    (tmp_path / "run").mkdir()
    RunFolder.open(tmp_path / "other", FACTS, resume=False)
    assert run.partial.exists()  # its process may be at work
    run.release()
    RunFolder.open(tmp_path / "other", FACTS, resume=False)
    assert not run.partial.exists()
    _begun(tmp_path / "unfinished").release()
    RunFolder.open(tmp_path / "other", FACTS, resume=False)
    assert (tmp_path / "unfinished.partial").is_dir()


def test_a_broken_off_run_is_not_overwritten(tmp_path: Path) -> None:
    _begun(tmp_path / "run")
    with pytest.raises(InputError, match=r"run\.partial holds an interrupted run: add --resume"):
        RunFolder.open(tmp_path / "run", FACTS, resume=False)


def test_nothing_to_resume_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run to resume in .*: start without --resume"):
        RunFolder.open(tmp_path / "run", FACTS, resume=True)


def test_a_folder_left_before_its_facts_were_written_is_no_dead_end(tmp_path: Path) -> None:
    (tmp_path / "run.partial").mkdir()
    _begun(tmp_path / "run")
    RunFolder.open(tmp_path / "run", FACTS, resume=True)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"config": {"lr": 2e-4, "seed": 1}}, "(config.lr: 0.0001 then, 0.0002 now)"),
        ({"config": {"lr": 1e-4, "seed": 1, "beta": 0.2}}, "(config.beta: None then, 0.2 now)"),
        ({"data": {"sha256": "cd", "rows": [1, 2]}}, "(data.sha256: 'ab' then, 'cd' now)"),
        ({"base_model": "x", "dev": "y"}, "(base_model: 'tiny' then, 'x' now; dev: None then, 'y' now)"),
    ],
)
def test_resuming_otherwise_names_just_the_fields_that_differ(
    tmp_path: Path, changed: dict[str, object], named: str
) -> None:
    _begun(tmp_path / "run")
    with pytest.raises(RecipeMismatch) as caught:
        RunFolder.open(tmp_path / "run", {**FACTS, **changed}, resume=True)
    assert f"was started with other settings {named}: resume it with the same ones." in str(caught.value)


def test_the_last_checkpoint_is_given_back_and_the_log_cut_to_it(tmp_path: Path) -> None:
    run = _begun(tmp_path / "run")
    for step in range(5):
        run.append({"step": step})
        if step in (1, 3):
            run.save_checkpoint(step + 1, _checkpoint(step + 1))
    with (run.partial / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"step": 5, "lo')
    kept = RunFolder.open(tmp_path / "run", FACTS, resume=True).load_checkpoint()
    assert kept is not None
    assert kept.facts == {"step": 4, "best": None}
    assert kept.tensors["weight"].tolist() == [4.0] * 4
    assert [line["step"] for line in run.lines()] == [0, 1, 2, 3]
    assert [folder.name for folder in run.partial.glob("checkpoint-*")] == ["checkpoint-0000004.safetensors"]


def test_without_a_checkpoint_the_run_starts_over(tmp_path: Path) -> None:
    run = _begun(tmp_path / "run")
    run.append({"step": 0})
    assert run.load_checkpoint() is None
    assert run.lines() == []


def test_a_checkpoint_that_was_not_finished_does_not_count(tmp_path: Path) -> None:
    run = _begun(tmp_path / "run")
    run.save_checkpoint(1, _checkpoint(1))
    (run.partial / ".checkpoint-0000002.safetensors-new-0123abcd").write_bytes(b"torn")
    kept = run.load_checkpoint()
    assert kept is not None
    assert kept.facts["step"] == 1
    best = run.scored_folder(1)
    best.mkdir(parents=True)
    assert [file.name for file in run.finish(best).iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), None], ids=["ENOSPC", "file size limit"])
def test_a_full_disk_leaves_the_last_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_disk: FullDisk, error: OSError | None
) -> None:
    """When a write really fails, safetensors does not raise an OSError."""
    run = _begun(tmp_path / "run")
    run.save_checkpoint(1, _checkpoint(1))
    if error is not None:

        def refuse(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("sempa.training.run_folder.save_file", refuse)
    with full_disk(10_000), pytest.raises(StorageError, match="checkpoint at step 2 could not be written.*--resume"):
        run.save_checkpoint(2, _checkpoint(2, size=100_000))
    kept = run.load_checkpoint()
    assert kept is not None
    assert kept.facts["step"] == 1
    assert [folder.name for folder in run.partial.glob("checkpoint-*")] == ["checkpoint-0000001.safetensors"]


def test_a_full_disk_is_a_storage_error_everywhere(tmp_path: Path, full_disk: FullDisk) -> None:
    run = _begun(tmp_path / "run")
    run.append({"step": 0})
    best = run.scored_folder(16)
    best.mkdir(parents=True)
    (best / "adapter_model.safetensors").write_bytes(b"w" * 5000)
    with full_disk(20):
        with pytest.raises(StorageError, match="metrics.jsonl could not be written"):
            run.append({"step": 1, "much": "text " * 10})
        with pytest.raises(StorageError, match="run could not be written"):
            _begun(tmp_path / "other")
        with pytest.raises(StorageError, match="adapter could not be written"):
            run.finish(best)
    assert not run.output.exists()
    assert run.finish(best).is_dir()


def test_finishing_can_be_broken_off_and_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _begun(tmp_path / "run")
    run.save_checkpoint(1, _checkpoint(1))
    best = run.scored_folder(16)
    best.mkdir(parents=True)
    for name in ("a", "b", "c"):
        (best / name).write_text(name, encoding="utf-8")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            run.finish(best)
    again = RunFolder.open(tmp_path / "run", FACTS, resume=True)
    assert again.load_checkpoint() is not None
    assert {file.name for file in again.finish(best).iterdir()} == {"a", "b", "c", "metrics.jsonl"}
