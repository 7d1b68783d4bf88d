"""Ctrl-C, and the signal of a cluster or a shutting machine, asked for at the end of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from auxfold.training.loop import Loop


@contextmanager
def ask_to_stop_on_signals(loop: Loop, alone: bool) -> Iterator[None]:
    """Let the first signal end the loop after its step, saved; the second one at once.

    With several processes (``alone=False``) nothing is changed: they may be at different steps, and
    the last state that was saved on time is what ``--resume`` continues.
    """
    if not alone or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        if loop.asked_to_stop:
            raise KeyboardInterrupt
        loop.asked_to_stop = True
        print(
            "stopping after this step, --resume will go on; once more to stop at once", flush=True
        )

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, ask) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
