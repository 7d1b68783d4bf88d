"""Commands that start other commands, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, TypeVar

STREAMS = (1, 2)  # the file descriptors of the output and of errors
T = TypeVar("T")


def call_command(command: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
    """Run a command in a process of its own, and exit as it does where it fails.

    A signal gives the child the time to save: Ctrl-C reaches it from the terminal as well, and
    SIGTERM is passed on.
    """
    if _can_fork():
        child = _fork_command(command, arguments, environment or dict(os.environ))
        _wait(child.join, child.terminate)
        code = child.exitcode
    else:
        code = wait_for(start_command(command, *arguments, environment=environment))
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
    streams = [DupFd(number) for number in STREAMS]
    child = context.Process(target=_run_forked, args=(command, arguments, environment, streams))
    child.start()
    return child


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


def start_command(
    command: str,
    *arguments: str,
    environment: dict[str, str] | None = None,
    capture_output: bool = False,
) -> subprocess.Popen[str]:
    """Start a command in a process of its own; ``capture_output`` keeps what it prints."""
    line = [sys.executable, "-m", "auxfold", command, *arguments]
    stdout = subprocess.PIPE if capture_output else None
    return subprocess.Popen(line, env=environment, stdout=stdout, text=True)


def wait_for(child: subprocess.Popen[str]) -> int:
    """The child's exit code; a signal gives it the time to save."""
    return _wait(child.wait, child.terminate)


def _wait(wait: Callable[[], T], terminate: Callable[[], None]) -> T:
    """What ``wait`` returns once the child has ended, whatever signals come meanwhile."""
    before = signal.signal(signal.SIGTERM, lambda *_: terminate())
    try:
        while True:
            try:
                return wait()
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, before)
