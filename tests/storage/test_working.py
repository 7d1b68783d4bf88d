"""A working folder becomes a fold, and a SIGKILL anywhere on the way loses neither."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from auxfold.config.experiment import to_toml
from auxfold.storage import working
from auxfold.storage.checksums import write_checksums
from auxfold.storage.run_folder import FoldFolder
from auxfold.storage.working import finish_working, start_working
from conftest import make_experiment

EXPERIMENT = make_experiment("train.csv", "backbone")


@pytest.fixture
def folder(tmp_path) -> FoldFolder:
    return FoldFolder(tmp_path / "fold_0")


def write_complete(path: Path, content: str) -> None:
    """A folder of a fold; while it is a working folder, with what only the training needs."""
    path.mkdir()
    (path / "model.safetensors").write_text(content)
    (path / "state.safetensors").touch()
    (path / "kept_3.safetensors").touch()
    (path / "experiment.toml").write_text(to_toml(EXPERIMENT))
    (path / "run.json").write_text("{}")
    write_checksums(path, ["model.safetensors", "run.json"])
    (path / ".ipynb_checkpoints").mkdir()
    (path / ".ipynb_checkpoints/README-checkpoint.md").touch()


def content_of(path: Path) -> str | None:
    """What a complete fold holds."""
    is_complete = FoldFolder(path).exists() and (path / "model.safetensors").is_file()
    return (path / "model.safetensors").read_text() if is_complete else None


def in_fork_killed_after(n_operations: int, function, *arguments) -> bool:
    """Call a function in a fork that is killed after n operations on files, if it gets so far."""
    pid = os.fork()
    if pid == 0:
        n_left = n_operations
        for owner, name in ((os, "replace"), (os, "unlink"), (os, "rmdir"), (working, "sync")):
            original = getattr(owner, name)

            def counting(*args, _original=original, **options):
                nonlocal n_left
                result = _original(*args, **options)
                n_left -= 1
                if n_left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            setattr(owner, name, counting)
        function(*arguments)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return os.WIFSIGNALED(status)


def assert_finished(folder: FoldFolder) -> None:
    assert content_of(folder.path) == "new"
    names = {path.name for path in folder.path.iterdir()}
    assert names == {"model.safetensors", "experiment.toml", "run.json", "checksums.json",
                     ".ipynb_checkpoints"}, "cleaned, without what is foreign"  # fmt: skip
    assert [path.name for path in folder.path.parent.iterdir()] == ["fold_0"]


@pytest.mark.parametrize("has_former", [False, True])
def test_a_kill_anywhere_loses_nothing_and_resume_finishes(folder, has_former):
    n_operations, was_killed = 0, True
    while was_killed:
        n_operations += 1
        if has_former:
            write_complete(folder.path, "old")
        write_complete(folder.working, "new")
        was_killed = in_fork_killed_after(n_operations, finish_working, folder)
        contents = {content_of(path) for path in (folder.path, folder.working, folder.former)}
        assert "new" in contents
        if content_of(folder.path) != "new":
            assert not has_former or "old" in contents, "until the new one is in its position"
        if folder.working.exists():
            start_working(folder, EXPERIMENT, resume=True)
        elif was_killed:
            working.clean_fold(folder)
            working._discard(folder.former)
        assert_finished(folder)
        shutil.rmtree(folder.path)
    assert n_operations > (8 if has_former else 4)


def test_overwrite_after_a_kill_starts_again_next_to_the_former_fold(folder, capsys):
    write_complete(folder.working, "new")
    write_complete(folder.former, "old")  # it was killed between the two renames
    start_working(folder, EXPERIMENT, overwrite=True)
    assert content_of(folder.path) == "old" and not folder.former.exists()
    assert [path.name for path in folder.working.iterdir()] == ["experiment.toml"]
    assert capsys.readouterr().out == ""


def test_a_kill_while_a_working_folder_is_removed_leaves_nothing_to_resume(folder):
    n_operations, was_killed = 0, True
    while was_killed:
        n_operations += 1
        write_complete(folder.working, "new")
        was_killed = in_fork_killed_after(
            n_operations, start_working, folder, EXPERIMENT, False, True
        )
        assert not FoldFolder(folder.working).exists(), "the first file that goes"
        assert n_operations == 1 or not folder.state.exists(), "the second one"
        shutil.rmtree(folder.working, ignore_errors=True)
    assert n_operations > 5


def test_a_folder_without_its_last_file_is_not_complete(folder, capsys):
    write_complete(folder.working, "new")
    write_checksums(folder.working, ["state.safetensors"])
    start_working(folder, EXPERIMENT, resume=True)
    assert not folder.path.exists() and folder.state.is_file()
