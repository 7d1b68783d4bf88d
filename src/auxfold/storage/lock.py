"""The lock of a fold while it is trained: one training at a time writes into its folder.

The system releases a file lock when its process dies, on one machine for certain. Between machines
that share a folder, and on file systems without locks, the heartbeat tells whether a training goes
on: the time of the file's latest change.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from auxfold.errors import InputError
from auxfold.storage.file_lock import try_lock
from auxfold.storage.run_folder import FoldFolder

HEARTBEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0  # without a heartbeat, after which a process elsewhere counts as dead
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class FoldLock:
    """A context in which no other process trains a fold.

    Args:
        folder: the folder of the fold.

    Raises:
        InputError: when it is entered, and another process trains the fold.
    """

    def __init__(self, folder: FoldFolder) -> None:
        self.folder, self.path = folder, folder.lock
        self._content = _describe_process()
        self._descriptor: int | None = None
        self._done = threading.Event()

    def __enter__(self) -> FoldLock:
        self._descriptor = self._acquire()
        threading.Thread(target=self._beat, name="auxfold-heartbeat", daemon=True).start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        if _read(self.path) == self._content:
            self.path.unlink(missing_ok=True)
        if self._descriptor is not None:
            os.close(self._descriptor)

    def check(self) -> None:
        """Refuse to go on where another process has taken the lock over.

        Raises:
            InputError: it has, because this one has not given a sign for too long.
        """
        content = _read(self.path)
        if content and content != self._content:
            raise InputError(
                f"{self.folder.path} is being trained by {_name(content)} now, which took over "
                f"because this process was silent for {SILENT_SECONDS:.0f} s; stop one of the two, "
                f"and continue the other with --resume"
            )

    def _acquire(self) -> int | None:
        """The descriptor that holds the lock; None on a file system without locks.

        Raises:
            InputError: another process holds it, or it cannot be written.
        """
        descriptor = None
        try:
            descriptor = self._open()
            self._check_former(_read(self.path), is_locked=descriptor is not None)
            self.path.write_text(json.dumps(self._content), encoding="utf-8")
        except BaseException as error:
            if descriptor is not None:
                os.close(descriptor)
            if isinstance(error, OSError):
                reason = f"{self.path} cannot be written: {error.strerror}"
                raise InputError(f"{reason}; make room, or allow it") from error
            raise
        return descriptor

    def _open(self) -> int | None:
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return try_lock(self.path)
            except BlockingIOError:
                raise InputError(self._refusal(_read(self.path), "")) from None
            except FileNotFoundError:  # its holder has removed it in this moment
                continue

    def _check_former(self, content: dict[str, Any], is_locked: bool) -> None:
        """Say whose lock is taken over.

        Raises:
            InputError: it is that of a process elsewhere that gives signs of life.
        """
        if not content:
            return
        if is_locked and content["boot"] == self._content["boot"]:
            print(f"note: {self.path} was left by {_name(content)}, which has died", flush=True)
            return
        silent = self._seconds_since_heartbeat()
        if silent < SILENT_SECONDS:
            hint = f"; if it has died, try again in {SILENT_SECONDS - silent:.0f} s"
            raise InputError(self._refusal(content, hint))
        print(
            f"note: {self.path} was left by {_name(content)}, which has been silent for "
            f"{silent:.0f} s",
            flush=True,
        )

    def _refusal(self, content: dict[str, Any], hint: str) -> str:
        silent = self._seconds_since_heartbeat()
        return (
            f"{self.folder.path} is being trained by {_name(content)} (last heartbeat "
            f"{silent:.0f} s ago); wait until it ends or stop it{hint}"
        )

    def _seconds_since_heartbeat(self) -> float:
        """By the clock of the file system: those of two machines differ."""
        with suppress(OSError), tempfile.TemporaryFile(dir=self.path.parent) as now:
            with self.path.open("rb") as file:  # opening it gets the times of a network file system
                heartbeat = os.fstat(file.fileno()).st_mtime
            return max(os.fstat(now.fileno()).st_mtime - heartbeat, 0.0)
        return 0.0

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT_SECONDS):
            with suppress(OSError):
                if _read(self.path) == self._content:
                    os.utime(self.path)


def check_unlocked(folder: FoldFolder) -> None:
    """Refuse to train a fold that another process trains.

    Raises:
        InputError: with the host, the process and its start.
    """
    if folder.lock.exists():
        with FoldLock(folder):
            pass


def _describe_process() -> dict[str, Any]:
    """What the lock says of its holder."""
    host = platform.node()
    return {
        "host": host,
        "process": os.getpid(),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "boot": BOOT_ID.read_text().strip() if BOOT_ID.exists() else host,
        "token": secrets.token_hex(8),
    }


def _read(path: Path) -> dict[str, Any]:
    """What a lock says of its holder; empty where there is none, or before it has written it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_complete = isinstance(content, dict) and content.keys() >= _describe_process().keys()
    return content if is_complete else {}


def _name(content: dict[str, Any]) -> str:
    if not content:
        return "another process"
    return f"process {content['process']} on {content['host']}, started {content['started']}"
