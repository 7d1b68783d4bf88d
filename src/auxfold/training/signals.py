"""Ctrl-C, and the signal of a cluster or of a machine that shuts down, handled after a step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """A context in which the first signal asks for a stop, and the second one stops at once.

    Args:
        active: False changes nothing. With several processes it is False: they may be at different
            steps, and ``--resume`` continues the last state that was saved in time.

    Attributes:
        requested: whether a signal has come. Whoever trains looks at it after every step.
    """

    def __init__(self, active: bool = True) -> None:
        self.requested = False
        self._active = active
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if self._active and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print(
            "stopping after this step, --resume will go on; once more to stop at once", flush=True
        )
