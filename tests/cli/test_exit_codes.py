"""How commands end: one line per error, and the exit codes of refusals and signals."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from auxfold.cli.exit_codes import run
from auxfold.errors import InputError


def interrupted_import() -> None:
    """Code in C turns the exception of a signal into one of its own."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        raise ImportError("numpy.core.multiarray failed to import") from None


def swallow() -> None:
    with suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


def fill_the_disk() -> None:
    """A write of a library's own, such as a log."""
    os.write(os.open("/dev/full", os.O_WRONLY), b"x")


def refuse() -> None:
    raise InputError("one\n  line")


@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        (refuse, 2, "error: one line\n"),
        (fill_the_disk, 2, "error: output: No space left on device\n"),
        (lambda: os.kill(os.getpid(), signal.SIGINT), 130, "interrupted\n"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), 143, "terminated\n"),
        (lambda: os.kill(os.getpid(), signal.SIGHUP), 143, "terminated\n"),
        (interrupted_import, 143, "terminated\n"),
        (swallow, 143, "terminated\n"),
    ],
)
def test_a_command_ends_with_one_line_and_its_exit_code(command, code, line, capsys):
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        run(command)
    assert stop.value.code == code and capsys.readouterr().err == line
    assert signal.getsignal(signal.SIGTERM) is handler


def test_sigusr1_outside_of_a_training_changes_nothing(capfd):
    run(lambda: os.kill(os.getpid(), signal.SIGUSR1))
    assert capfd.readouterr().out == "SIGUSR1: there is nothing to save yet\n"


def test_an_unexpected_error_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: print(1 / 0))
