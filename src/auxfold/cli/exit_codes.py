"""How a command ends: an error is one line for a person, and every end has an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from auxfold.cli.commands import as_called
from auxfold.errors import InputError
from auxfold.storage.atomic import FULL_DISK
from auxfold.training.signals import StopSignals, Terminated, exit_code, unblock_signals


def run(command: Callable[[], None]) -> None:
    """Call a command.

    An :class:`InputError` becomes one line on stderr and exit code 2. The exit code is 130 after
    Ctrl-C, and 143 after SIGTERM and SIGHUP.
    """
    signals = StopSignals()
    try:
        with signals:
            unblock_signals()
            command()
    except InputError as error:
        message = as_called(" ".join(str(error).split()))
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt as error:
        _exit_after_signal(error)
    except Exception as failure:
        # An import that a signal interrupts may fail with an error of its own.
        try:
            signals.check()
        except KeyboardInterrupt as error:
            _exit_after_signal(error)
        if not isinstance(failure, OSError) or failure.errno not in FULL_DISK:
            raise
        # Of what auxfold itself writes, the error says more.
        print(f"error: {failure.filename or 'output'}: {failure.strerror}", file=sys.stderr)
        sys.exit(2)


def _exit_after_signal(error: KeyboardInterrupt) -> None:
    print("terminated" if isinstance(error, Terminated) else "interrupted", file=sys.stderr)
    sys.exit(exit_code(error))
