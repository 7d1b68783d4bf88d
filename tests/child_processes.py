"""Other processes that a test starts, kills and waits for."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path


def fork(function: Callable[[], object]) -> int:
    """Call a function in another process, which ends with 0, or with 1 and a traceback.

    Returns:
        The number of the process.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return pid


def wait(pid: int) -> int:
    """The exit code of a process, when it has ended; ``-9`` after a SIGKILL."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_for_file(pattern: str, folder: Path) -> Path:
    """A file that another process is about to create."""
    for _ in range(1000):
        if paths := list(folder.glob(pattern)):
            return paths[0]
        time.sleep(0.01)
    raise TimeoutError(f"no {pattern} in {folder}")


def names(folder: Path) -> list[str]:
    """The names of everything in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())
