"""One process at a time trains a fold, and what a dead one left is recognized."""

from __future__ import annotations

import json
import os
import platform
import signal
import time

import pytest

from auxfold.errors import InputError
from auxfold.storage import lock
from auxfold.storage.lock import FoldLock, check_unlocked
from auxfold.storage.run_folder import FoldFolder


@pytest.fixture
def folder(tmp_path) -> FoldFolder:
    return FoldFolder(tmp_path / "outputs/tiny/fold_0")


def hold_in_fork(folder: FoldFolder) -> int:
    """A process that holds the lock until it is killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with FoldLock(folder):
            os.write(writer, b"locked")
            time.sleep(60)
        os._exit(0)
    assert os.read(reader, 6) == b"locked"
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def write_lock_of(folder: FoldFolder, seconds_ago: float, **changes: object) -> None:
    """A lock as a process on another machine writes it, with its latest heartbeat."""
    content = {"host": "node7", "process": 11, "started": "2026-11-27 10:00:00 +0000",
               "boot": "another", "token": "ab", **changes}  # fmt: skip
    folder.lock.parent.mkdir(parents=True, exist_ok=True)
    folder.lock.write_text(json.dumps(content))
    os.utime(folder.lock, (time.time() - seconds_ago,) * 2)


def test_the_lock_is_there_while_a_fold_is_trained(folder):
    with FoldLock(folder):
        content = json.loads(folder.lock.read_text())
        assert (content["host"], content["process"]) == (platform.node(), os.getpid())
        assert content["started"][:4] == time.strftime("%Y")
        with FoldLock(FoldFolder(folder.path.with_name("fold_1"))):
            pass  # another fold at once
    assert not folder.lock.exists()
    check_unlocked(folder)


def test_another_process_is_refused_until_the_first_one_has_died(folder, capsys):
    pid = hold_in_fork(folder)
    message = (
        rf"fold_0 is being trained by process {pid} on {platform.node()}, started 20.* "
        r"\(last heartbeat 0 s ago\); wait until it ends or stop it$"
    )
    with pytest.raises(InputError, match=message):
        check_unlocked(folder)
    with pytest.raises(InputError, match=message), FoldLock(folder):
        pass
    kill(pid)
    assert folder.lock.exists()
    with FoldLock(folder) as fold_lock:
        fold_lock.check()
    note = capsys.readouterr().out
    assert f"was left by process {pid} on" in note and note.endswith("which has died\n")
    assert not folder.lock.exists()


def test_a_process_elsewhere_counts_as_dead_when_its_heartbeat_is_silent(folder, capsys):
    write_lock_of(folder, seconds_ago=20)
    message = r"by process 11 on node7, .*heartbeat 20 s ago.*if it has died, try again in 40 s$"
    with pytest.raises(InputError, match=message), FoldLock(folder):
        pass
    write_lock_of(folder, seconds_ago=400)
    with FoldLock(folder):
        assert "node7" not in folder.lock.read_text()
    note = capsys.readouterr().out
    assert "process 11 on node7, started 2026-11-27 10:00:00 +0000, which has been silent" in note


def test_a_file_system_without_locks_has_the_heartbeat(folder, monkeypatch):
    monkeypatch.setattr(lock, "try_lock", lambda path: path.touch())
    with FoldLock(folder), pytest.raises(InputError, match="try again in"), FoldLock(folder):
        pass


def test_the_heartbeat_goes_on(folder, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.01)
    with FoldLock(folder):
        os.utime(folder.lock, (0, 0))
        end = time.monotonic() + 10
        while folder.lock.stat().st_mtime == 0 and time.monotonic() < end:
            time.sleep(0.01)
        assert time.time() - folder.lock.stat().st_mtime < 10


def test_whoever_was_taken_over_stops(folder):
    with FoldLock(folder) as fold_lock:
        fold_lock.check()
        write_lock_of(folder, seconds_ago=0)
        with pytest.raises(InputError, match="is being trained by process 11 on node7.* now"):
            fold_lock.check()
    assert "node7" in folder.lock.read_text(), "the lock of the other one stays"


@pytest.mark.parametrize("content", ["", "[]", '{"host": "node7"}'])
def test_a_lock_that_says_nothing_is_that_of_nobody(folder, content, capsys):
    folder.lock.parent.mkdir(parents=True)
    folder.lock.write_text(content)
    with FoldLock(folder):
        pass
    assert capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(lock, "try_lock", refuse)
    with pytest.raises(InputError, match="fold_0.lock cannot be written: Permission denied"):
        FoldLock(folder).__enter__()
