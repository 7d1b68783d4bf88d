"""How threads of the processor wait for each other."""

from __future__ import annotations

import os

# Settings of OpenMP and of its libraries, GNU's and Intel's.
WAIT_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SPIN_COUNT = 10_000  # measured, see the page on performance; the default is many times as much


def let_waiting_threads_sleep() -> None:
    """Let threads of GNU's OpenMP soon sleep while they wait, unless the user has set how.

    By default they spin for long. Where another program wants the core, that takes it from the very
    thread that the others wait for. Call it before torch is imported, which reads the setting once.
    """
    if not any(name in os.environ for name in WAIT_SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
