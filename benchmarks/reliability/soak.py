"""Train, evaluate and predict again and again with kills: memory, handles and files stay flat."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.process import IMPORTED_BEFORE
from benchmarks.reliability.workspace import (
    COMMANDS,
    Result,
    digest_outputs,
    find_leftovers,
    make_workspace,
)

GROWTH = 0.05  # of the memory between the second and the last quarter of the cycles
MIN_CYCLES = 8  # for a statement on memory
KILLED = "train 0"


def prove_soak(folder: Path, minutes: float, seed: int, n_rows: int, backbones: Path) -> Result:
    """Repeat the whole way in a single process, in which every leak would add up.

    Args:
        folder: where to work.
        minutes: how long; at least two cycles.
        seed: of the rows and of the kills.
        n_rows: to train on.
        backbones: a folder for the backbone of random weights.
    """
    make_workspace(folder, seed, n_rows, backbones)
    log = folder / "cycles.jsonl"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_BEFORE)
    child = context.Process(target=_soak_here, args=(str(folder), minutes * 60, seed))
    child.start()
    child.join()
    cycles = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return judge_cycles(cycles, child.exitcode or 0)


def judge_cycles(cycles: Sequence[dict[str, Any]], exit_code: int) -> Result:
    """Whether every cycle gave the same, and nothing has grown.

    Args:
        cycles: what each cycle has measured.
        exit_code: of the process that went through them.
    """
    result = Result("soak: train, kill, resume, evaluate, predict in a single process")
    for number, cycle in enumerate(cycles):
        fault = None
        if cycle["digests"] != cycles[0]["digests"]:
            fault = f"cycle {number} has other results than the first one"
        if cycle["leftovers"]:
            fault = f"cycle {number} leaves {', '.join(cycle['leftovers'])}"
        result.add("killed and resumed" if cycle["was_killed"] else "ended before the kill", fault)
    if exit_code:
        result.faults.append(f"the process ended with exit code {exit_code}")
    for name in ("handles", "threads", "files"):
        numbers = [cycle[name] for cycle in cycles]
        result.facts[name] = numbers[-1] if numbers else None
        if len(set(numbers[1:])) > 1 and numbers[-1] > numbers[1]:
            result.faults.append(f"{name} rise from {numbers[1]} to {numbers[-1]}")
    if len(cycles) >= MIN_CYCLES:
        before, after = (_median_memory(cycles, quarter) for quarter in (1, 3))
        result.facts |= {"memory_mb": round(after / 1e6, 1), "memory_before_mb": before / 1e6}
        if after > before * (1 + GROWTH):
            result.faults.append(f"memory rises from {before / 1e6:.0f} to {after / 1e6:.0f} MB")
    return result


def _median_memory(cycles: Sequence[dict[str, Any]], quarter: int) -> float:
    size = len(cycles) // 4
    part = cycles[quarter * size : (quarter + 1) * size]
    return float(np.median([cycle["memory"] for cycle in part]))


def _soak_here(folder: str, seconds: float, seed: int) -> None:
    for number in (1, 2):
        os.dup2(os.open(f"{folder}/output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(folder)
    os.environ |= {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
    import torch

    torch.set_num_threads(1)
    random, end, n_cycles = np.random.default_rng(seed), time.monotonic() + seconds, 0
    duration = 3.0  # of a training, before the first one was timed
    while n_cycles < 2 or time.monotonic() < end:
        shutil.rmtree("outputs", ignore_errors=True)
        _call(COMMANDS["folds"][0])
        was_killed = _call_and_kill(COMMANDS[KILLED][0], duration * random.uniform(0.1, 0.9))
        started = time.monotonic()
        for name in ("train 0", "train 1"):
            arguments, again = COMMANDS[name]
            _call([*arguments, *again])
        duration = (time.monotonic() - started) / 2
        _call(COMMANDS["evaluate"][0])
        _call(COMMANDS["inference"][0])
        with Path("cycles.jsonl").open("a") as file:
            file.write(json.dumps({"was_killed": was_killed, **measure_cycle(Path())}) + "\n")
        n_cycles += 1


def measure_cycle(folder: Path) -> dict[str, Any]:
    """What must be equal in every cycle, and the memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "digests": digest_outputs(folder),
        "leftovers": find_leftovers(folder),
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "handles": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "files": sum(path.is_file() for path in (folder / "outputs").rglob("*")),
    }


def _call(arguments: Sequence[str]) -> None:
    """A command in this process.

    Raises:
        RuntimeError: it does not end with exit code 0.
    """
    from auxfold.cli.main import dispatch

    try:
        dispatch(list(arguments))
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"auxfold {' '.join(arguments)} ends with {end.code}") from end


def _call_and_kill(arguments: Sequence[str], seconds: float) -> bool:
    """A command in a fork of this process, with a SIGKILL after some time; whether it was hit."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            _call(arguments)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
