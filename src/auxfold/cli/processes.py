"""Commands that start other commands, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from auxfold.training.signals import PassOnSignals, blocked_signals, exit_code

STREAMS = (1, 2)  # the file descriptors of the output and of errors


def call_command(command: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
    """Run a command in a process of its own, and exit as it does where it fails.

    Signals are passed on to it. One that asks to stop gives it the time to save, and then stops
    this command as well.
    """
    if _can_fork():
        code = _wait_for_fork(_fork_command(command, arguments, environment or dict(os.environ)))
    else:
        child = _start_command(command, arguments, environment)
        code = _wait(child.wait, child.send_signal)
    if code:
        sys.exit(code)


def _can_fork() -> bool:
    """Whether commands may share one import of torch and transformers, which takes seconds.

    A forked process cannot use a GPU that the imports have touched.
    """
    has_gpu = any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd"))
    return sys.platform == "linux" and not has_gpu


def _fork_command(
    command: str, arguments: Sequence[str], environment: dict[str, str]
) -> ForkServerProcess:
    """Start a command in a fork of a process that has done nothing but import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["auxfold.training.fold"])
    # These processes have no handlers, and must outlive a signal to the whole group.
    with blocked_signals():
        resource_tracker.ensure_running()
    with blocked_signals():  # the other one has unblocked some
        forkserver.ensure_running()
    streams = [DupFd(number) for number in STREAMS]
    child = context.Process(target=_run_forked, args=(command, arguments, environment, streams))
    child.start()  # waits until the imports are done; a signal stops this
    return child


def _wait_for_fork(child: ForkServerProcess) -> int:
    """As :func:`_wait`."""

    def send(number: int) -> None:
        assert child.pid is not None, "it is started"
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child.pid, number)

    def wait() -> int:
        child.join()
        return child.exitcode or 0

    return _wait(wait, send)


def _run_forked(
    command: str, arguments: Sequence[str], environment: dict[str, str], streams: list[Any]
) -> None:
    """Run a command in this process, with the environment and the streams of its caller."""
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in zip(STREAMS, streams, strict=True):
        os.dup2(stream.detach(), number)
    sys.argv[1:] = [command, *arguments]
    from auxfold.cli.main import main

    main(command, list(arguments))


def _start_command(
    command: str, arguments: Sequence[str], environment: dict[str, str] | None
) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    line = [sys.executable, "-m", "auxfold", command, *arguments]
    with blocked_signals():  # it has no handlers yet
        return subprocess.Popen(line, env=environment, text=True)


def _wait(wait: Callable[[], int], send: Callable[[int], None]) -> int:
    """Wait until a command has ended, and pass on the signals that come meanwhile.

    Returns:
        Its exit code, or that of the signal that has asked this command to stop.
    """
    code = 0
    try:
        with PassOnSignals(send):
            code = wait()
    except KeyboardInterrupt as error:
        # Another error, such as a full disk, is worth more than the signal.
        return code if 0 < code <= 128 else exit_code(error)
    return 128 - code if code < 0 else code  # as a shell says that a signal has killed it
