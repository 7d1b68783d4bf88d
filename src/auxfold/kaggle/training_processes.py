"""Processes of a training kernel: where they run, what they print, and when they are stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from auxfold.kaggle.training_worker import FoldJob

POLL_SECONDS = 0.2


def train_on(job: FoldJob, devices: Sequence[str], kill_at: float) -> int:
    """Train a fold with one process per device, which train one model together.

    Args:
        job: the fold.
        devices: names of the devices, such as ``cuda:0``.
        kill_at: when processes that go on are killed, in seconds since the epoch.

    Returns:
        0, or the exit code of a process that failed.
    """
    environments = [_environment(devices)] * len(devices)
    if len(devices) > 1:
        with socket.create_server(("localhost", 0)) as server:
            port = server.getsockname()[1]
        common = {"WORLD_SIZE": str(len(devices)), "MASTER_ADDR": "localhost"}
        common["MASTER_PORT"] = str(port)
        environments = [
            {**environment, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            for rank, environment in enumerate(environments)
        ]
    commands = [_command(job, None)] * len(devices)
    return _run(commands, environments, kill_at)


def predict_on(job: FoldJob, devices: Sequence[str], kill_at: float) -> int:
    """Predict the test file with a fold, a part of the rows on each device; as above."""
    commands = [_command(job, (number, len(devices))) for number in range(len(devices))]
    return _run(commands, [_environment([device]) for device in devices], kill_at)


def _command(job: FoldJob, shard: tuple[int, int] | None) -> list[str]:
    arguments = json.dumps({"job": asdict(job), "shard": shard})
    return [sys.executable, "-m", "auxfold.kaggle.training_worker", arguments]


def _environment(devices: Sequence[str]) -> dict[str, str]:
    """The variables of a process that uses these devices and no network."""
    source = str(Path(__file__).resolve().parents[2])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    launcher = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in launcher}
    environment |= {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": os.environ.get("WANDB_MODE", "disabled"),
    }
    if devices[0] == "cpu":
        environment |= {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "1"}
    else:
        visible = [v for v in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if v]
        numbers = [int(device.partition(":")[2] or 0) for device in devices]
        chosen = [visible[number] if visible else str(number) for number in numbers]
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
    return environment


def _run(commands: list[list[str]], environments: list[dict[str, str]], kill_at: float) -> int:
    """Run commands side by side until all are done, one fails, or the time is up.

    Returns:
        0, the exit code of a command that failed, or -9 where the time was up.
    """
    processes: list[subprocess.Popen[str]] = []
    printers: list[threading.Thread] = []
    try:
        for command, environment in zip(commands, environments, strict=True):
            process = subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            processes.append(process)
            printers.append(threading.Thread(target=_print_output, args=(process,)))
            printers[-1].start()
        return _wait(processes, kill_at)
    finally:
        for process in processes:
            if process.poll() is None:
                with suppress(ProcessLookupError):  # it has just ended
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for printer in printers:
            printer.join()


def _wait(processes: list[subprocess.Popen[str]], kill_at: float) -> int:
    """Wait as long as all processes run or have passed: one that fails leaves others waiting."""
    while True:
        codes = [process.poll() for process in processes]
        if failed := next((code for code in codes if code), 0):
            return failed
        if None not in codes:
            return 0
        if time.time() > kill_at:
            return -signal.SIGKILL
        time.sleep(POLL_SECONDS)


def _print_output(process: subprocess.Popen[str]) -> None:
    """Print what a process prints: a notebook shows only what it prints itself."""
    for line in process.stdout or ():
        print(line, end="", flush=True)
