"""Signals: Ctrl-C, those of a batch system, and that of a terminal that is closed.

Python runs a signal's handler in the main thread, between two steps of its code. Code that is
interrupted there, an import for example, may swallow the exception that a handler raises. So every
context remembers the signal, and raises again at its end.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

# A command that was asked to stop asks the command that it has started with a signal of its own.
# A terminal or a batch system may have signaled both already, and a second signal of the same kind
# would stop the other command before it has saved.
PASSED_ON = signal.SIGUSR2
STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, PASSED_ON)
SAVE = signal.SIGUSR1
REPEATED_SECONDS = 1.0  # a batch system and its launcher may both send a signal


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP has asked to stop."""


def exit_code(error: KeyboardInterrupt) -> int:
    """The exit code after a signal: 130 of Ctrl-C, 143 of the others."""
    return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)


class StopSignals:
    """A context in which a signal that asks to stop raises :class:`KeyboardInterrupt`.

    It does nothing in another thread than the main one.

    Attributes:
        number: the first signal that asked to stop; None before.
    """

    signals: tuple[signal.Signals, ...] = (*STOP, SAVE)

    def __init__(self) -> None:
        self.number: int | None = None
        self._first_at: dict[bool, float] = {}
        self._is_leaving = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in self.signals:
            # nohup starts commands that ignore SIGHUP.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._handle)
        outer = getattr(self._handlers.get(signal.SIGTERM), "__self__", None)
        if isinstance(outer, StopSignals):
            outer.check()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_leaving = True  # a signal in the middle would leave handlers behind
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if error is None:
            self.check()

    def check(self) -> None:
        """Stop if a signal has asked for it.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; :class:`Terminated` for the other signals.
        """
        if self.number is not None:
            raise KeyboardInterrupt if self.number == signal.SIGINT else Terminated

    def on_stop(self) -> None:
        """The first signal asks to stop."""
        self.check()

    def on_second_stop(self) -> None:
        """A second signal asks to stop at once."""
        self.check()

    def on_save(self) -> None:
        """A signal asks to save and to go on."""
        say("SIGUSR1: there is nothing to save yet")

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _leave_terminal()
        if number == SAVE:
            self.on_save()
            return
        now = time.monotonic()
        first_at = self._first_at.setdefault(number == PASSED_ON, now)
        if self._is_leaving:
            self.number = self.number or number  # `__exit__` stops for it
        elif self.number is None:
            self.number = number
            self.on_stop()
        elif now - first_at > REPEATED_SECONDS:
            self.on_second_stop()


class StopRequest(StopSignals):
    """A context in which the first signal asks for a stop, and the second one stops at once.

    Args:
        stops: False leaves signals that ask to stop as they are. So it is with several processes,
            which may be at different steps: ``--resume`` continues the last saved state.
    """

    def __init__(self, stops: bool = True) -> None:
        super().__init__()
        self.signals = (*STOP, SAVE) if stops else (SAVE,)
        self._asked_to_save = False

    @property
    def requested(self) -> bool:
        """Whether a signal has asked to stop. Whoever trains looks at it after every step."""
        return self.number is not None

    def pop_save_request(self) -> bool:
        """Whether a signal has asked to save and go on, since the last call."""
        asked, self._asked_to_save = self._asked_to_save, False
        return asked

    def on_stop(self) -> None:
        """Say that the step at hand is finished first."""
        say("stopping after this step, --resume will go on; once more to stop at once")

    def on_save(self) -> None:
        """Say that the step at hand is finished first."""
        self._asked_to_save = True
        say("SIGUSR1: saving after this step, and going on")


class PassOnSignals(StopSignals):
    """A context in which signals are passed on to the command that this one has started.

    Args:
        send: sends a signal to the command.
    """

    def __init__(self, send: Callable[[int], object]) -> None:
        super().__init__()
        self._send = send

    def on_stop(self) -> None:
        """Ask the other command to stop."""
        self._send(PASSED_ON)

    def on_second_stop(self) -> None:
        """Ask the other command to stop at once."""
        self._send(PASSED_ON)

    def on_save(self) -> None:
        """Ask the other command to save."""
        self._send(SAVE)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """A context in which signals wait until its end.

    A process that is started in it inherits this for as long as it lives. So a signal cannot kill
    it before it has handlers, after which it calls :func:`unblock_signals`.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP, SAVE))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """Receive the signals that have waited since this process was started."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP, SAVE))


def say(text: str) -> None:
    """Print a line from a signal's handler, which may have interrupted another print."""
    with suppress(OSError):  # the terminal is closed
        os.write(1, f"{text}\n".encode())


def _leave_terminal() -> None:
    """Let prints go nowhere: those to a closed terminal fail, and would fail before the save."""
    null = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode):
                os.dup2(null, number)
    os.close(null)
