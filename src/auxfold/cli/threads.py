"""How threads of the processor wait for each other."""

from __future__ import annotations

import os

# Settings of OpenMP and of its libraries, GNU's and Intel's.
WAIT_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def let_waiting_threads_sleep() -> None:
    """Let threads sleep while they wait, unless the user has set how they wait.

    By default they spin. Where another program wants the core, that takes it from the very thread
    that the others wait for. Call it before torch is imported, which reads the setting once.
    """
    if not any(name in os.environ for name in WAIT_SETTINGS):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
