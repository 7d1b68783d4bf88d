"""Locks on files that the system releases when their process dies, in another container too."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL, errno.EBADF}


def try_lock(path: Path) -> int | None:
    """Lock a file, which is created if it is missing.

    Args:
        path: the file.

    Returns:
        A descriptor that holds the lock until it is closed or the process ends; None where the
        file system has no locks.

    Raises:
        BlockingIOError: another process holds the lock.
        FileNotFoundError: the folder is missing, or the file was removed while it was locked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    except OSError as error:
        os.close(descriptor)
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return descriptor


def wait_for_lock(path: Path) -> int | None:
    """As :func:`try_lock`, but wait while another process holds the lock.

    Raises:
        FileNotFoundError: the folder is missing.
    """
    while path.parent.is_dir():
        with suppress(BlockingIOError, FileNotFoundError):
            return try_lock(path)
        time.sleep(0.01)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
