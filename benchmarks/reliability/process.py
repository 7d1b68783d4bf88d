"""Commands in processes of their own that are killed, or run out of disk, at a chosen moment."""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import re
import resource
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import auxfold

# Everything, so that a process starts quickly and code that is edited meanwhile is not mixed in.
IMPORTED_BEFORE = [
    *(module.name for module in pkgutil.walk_packages(auxfold.__path__, "auxfold.")
      if not module.name.endswith("__main__")),
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "sklearn.linear_model",
    "sklearn.feature_extraction.text",
    "transformers.models.bert.modeling_bert",
]  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FILLER = "filler"  # the file that fills a disk
TIMEOUT = 300.0  # seconds of a command


@dataclass(frozen=True)
class Interference:
    """What happens to a command just before one of its file operations.

    Attributes:
        action: ``kill``: it gets a SIGKILL. ``fill``: the disk becomes full.
        pattern: a regular expression of the paths that count.
        number: the operation, counted from 0.
        room: with ``fill``, the bytes that stay free.
    """

    action: Literal["kill", "fill"]
    pattern: str
    number: int
    room: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: its exit code, negative where a signal ended it.
        stdout: what it printed.
        stderr: what it complained of.
        operations: the path of every file operation below ``outputs/``, in order.
        seconds: its duration.
        usage: ``handles`` and ``memory`` (bytes, at most) of the process at its end; empty where it
            was killed.
    """

    code: int
    stdout: str
    stderr: str
    operations: list[str]
    seconds: float
    usage: dict[str, int] = field(default_factory=dict)

    @property
    def is_refused(self) -> bool:
        """Whether the command refused its input in one line."""
        errors = [line for line in self.stderr.splitlines() if line.startswith("error: ")]
        return self.code == 2 and len(errors) == 1 and "Traceback" not in self.stderr

    @property
    def message(self) -> str:
        """The last line of the errors."""
        return self.stderr.strip().rpartition("\n")[2]


def run_command(
    arguments: Sequence[str],
    folder: Path,
    interference: Interference | None = None,
    kill_after: float | None = None,
) -> Outcome:
    """Run a command of auxfold in a process that has imported everything already.

    Args:
        arguments: the command and its arguments.
        folder: where it runs.
        interference: what happens to it at a file operation.
        kill_after: the seconds after which it gets a SIGKILL.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_BEFORE)
    with tempfile.TemporaryDirectory() as logs:
        child = context.Process(
            target=_run_here, args=(list(arguments), str(folder), logs, interference)
        )
        child.start()  # the first time it waits for the imports
        started = time.monotonic()
        child.join(TIMEOUT if kill_after is None else kill_after)
        if child.exitcode is None:
            child.kill()
            child.join()
        seconds = time.monotonic() - started
        texts = {name: _read(Path(logs, name)) for name in ("stdout", "stderr", "operations")}
        usage = dict(map(_parse_number, _read(Path(logs, "usage")).splitlines()))
    assert child.exitcode is not None
    operations = texts["operations"].splitlines()
    return Outcome(child.exitcode, texts["stdout"], texts["stderr"], operations, seconds, usage)


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _parse_number(line: str) -> tuple[str, int]:
    name, _, number = line.partition(" ")
    return name, int(number)


def _run_here(
    arguments: list[str], folder: str, logs: str, interference: Interference | None
) -> None:
    for number, name in enumerate(("stdout", "stderr"), start=1):
        os.dup2(os.open(f"{logs}/{name}", os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ |= {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
    _watch_files(f"{logs}/operations", interference)
    import torch

    from auxfold.cli.main import main

    torch.set_num_threads(1)
    try:
        main(arguments[0], arguments[1:])
    finally:
        usage = measure_usage()
        Path(logs, "usage").write_text("".join(f"{k} {v}\n" for k, v in usage.items()))


def measure_usage() -> dict[str, int]:
    """Open handles and the largest memory of this process in bytes."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"handles": len(os.listdir("/proc/self/fd")), "memory": memory}


def _watch_files(log: str, interference: Interference | None) -> None:
    """Write down every file operation below ``outputs/``, and interfere with one of them."""
    import sys

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    n_matches, is_busy = 0, False

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal n_matches, is_busy
        path = "" if is_busy else _changed_path(event, args)
        if "outputs/" not in path:
            return
        os.write(file, f"{path}\n".encode())
        if interference is not None and re.search(interference.pattern, path):
            n_matches += 1
            if n_matches == interference.number + 1:
                is_busy = True
                _interfere(interference)
                is_busy = False

    sys.addaudithook(watch)


def _changed_path(event: str, args: tuple[Any, ...]) -> str:
    """The path that an audited operation is going to change, or nothing."""
    if event == "open":
        path, _, flags = args
        return str(path) if isinstance(path, str | Path) and flags & WRITES else ""
    if event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
        path = args[1] if event == "os.rename" else args[0]
        return os.fsdecode(path) if isinstance(path, str | bytes | Path) else ""
    return ""


def _interfere(interference: Interference) -> None:
    if interference.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    fill_disk(Path(FILLER), interference.room)


def fill_disk(path: Path, room: int) -> None:
    """Write a file of everything that is free, but for some bytes."""
    state = os.statvfs(path.parent)
    size = max(state.f_bavail * state.f_frsize - room, 1)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
