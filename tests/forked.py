"""Commands in forks of a process that has imported everything, which takes seconds.

The fork has the arguments, the folder, the environment and the streams of a process of its own.
What is about starting (imports, signals, several processes) starts a real one.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from auxfold.cli import processes
from auxfold.cli.main import main


class ForkedProcess:
    """``subprocess.Popen`` of a Python command line, without the imports.

    Args:
        command: Python, and then a script's path, ``-m`` and a module, or ``-c`` and a program, and
            then the arguments.
        cwd: the folder to run in; this one when left out.
        env: the environment, without effect on what is read at the start (``PYTHON…``, ``HF_…``);
            the one here when left out.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self._command = command
        self._streams = [tempfile.NamedTemporaryFile("r") for _ in range(2)]  # noqa: SIM115
        paths = [Path(stream.name) for stream in self._streams]
        arguments = (
            [str(part) for part in command[1:]],
            cwd or Path.cwd(),
            env or dict(os.environ),
            paths,
        )
        _start_server()
        context = multiprocessing.get_context("forkserver")
        self._process = context.Process(target=_run_in_fork, args=arguments)
        self._process.start()

    def wait(self) -> subprocess.CompletedProcess[str]:
        """How it has ended, and what it has printed."""
        self._process.join(timeout=300)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            raise subprocess.TimeoutExpired(self._command, 300)
        stdout, stderr = (stream.read() for stream in self._streams)
        return subprocess.CompletedProcess(self._command, code, stdout, stderr)


@cache
def _start_server() -> None:
    """Start the process that is forked from, which must find the module that warms it up."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(["warm_up"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        forkserver.ensure_running()


def run_forked(
    command: Sequence[str | Path], cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``subprocess.run`` of a Python command line; see :class:`ForkedProcess`.

    It starts a process of its own where the commands do so, such as next to a GPU.
    """
    if processes._can_fork():
        return ForkedProcess(command, cwd, env).wait()
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


def _run_in_fork(
    arguments: list[str], cwd: Path, environment: dict[str, str], streams: list[Path]
) -> None:
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    processes._fork_command = _fork_again
    _call(lambda: _run_python(*arguments))


def _run_python(program: str, *arguments: str) -> None:
    """What Python does with these arguments."""
    if program == "-m":
        sys.path.insert(0, "")
        sys.argv = list(arguments)
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif program == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *arguments[1:]]
        exec(arguments[0], {"__name__": "__main__"})
    else:
        sys.path.insert(0, str(Path(program).parent))
        sys.argv = [program, *arguments]
        runpy.run_path(program, run_name="__main__")


def _fork_again(command: str, arguments: Sequence[str], environment: dict[str, str]) -> ForkProcess:
    """A command that a command starts: its process has imported everything already."""

    def run() -> None:
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:] = [command, *arguments]
        main(command, list(arguments))

    child = multiprocessing.get_context("fork").Process(target=_call, args=(run,))
    child.start()
    return child


def _call(function: Callable[[], None]) -> None:
    """Call a function and what it has registered for the end, which a fork leaves out."""
    try:
        function()
    finally:
        atexit._run_exitfuncs()
