"""A lock is held by one process, and released when that process ends, in whatever way."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from auxfold.storage.file_lock import try_lock, wait_for_lock
from child_processes import fork, wait, wait_for_file


def start_holder(path: Path, seconds: float) -> int:
    def hold() -> None:
        try_lock(path)
        (path.parent / "locked").touch()
        time.sleep(seconds)

    pid = fork(hold)
    wait_for_file("locked", path.parent)
    return pid


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "lock"
    pid = start_holder(path, 60)
    with pytest.raises(BlockingIOError):
        try_lock(path)
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    descriptor = try_lock(path)
    assert descriptor is not None
    os.close(descriptor)


def test_a_waiting_process_goes_on_when_the_lock_is_free(tmp_path):
    path = tmp_path / "lock"
    pid = start_holder(path, 0.3)
    start = time.monotonic()
    descriptor = wait_for_lock(path)
    assert descriptor is not None and time.monotonic() - start < 30
    os.close(descriptor)
    assert wait(pid) == 0


def test_a_file_that_was_removed_while_it_was_locked_is_no_lock(tmp_path, monkeypatch):
    """Else two processes would hold the lock: one of the removed file, one of the new file."""
    path = tmp_path / "lock"
    stat = os.stat

    def remove_first(target: Path) -> os.stat_result:
        path.unlink()
        return stat(target)

    monkeypatch.setattr(os, "stat", remove_first)
    with pytest.raises(FileNotFoundError):
        try_lock(path)
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError):
        wait_for_lock(tmp_path / "missing/lock")
