"""A full disk in every stage: one line, exit code 2; with room again, the undisturbed results."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from auxfold.errors import InputError
from benchmarks.reliability.kills import STAGES, call_again, count_operations
from benchmarks.reliability.process import FILLER, Interference, run_command
from benchmarks.reliability.workspace import COMMANDS, Reference, Result

DISK_MEGABYTES = 256
MAX_ROOM = 32_768  # bytes that are left at most
TRIES = 20  # of unmounting, which has to wait for processes that end


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own in memory, while the context lasts.

    Raises:
        InputError: the user may not mount one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            "a full disk needs a small file system, which only root may mount; run the command as "
            "root (a container, unshare -Urm) or leave the proof out with --proofs"
        ) from error
    try:
        yield folder
    finally:
        for _ in range(TRIES):
            if subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
                break
            time.sleep(0.2)


def prove_full_disks(reference: Reference, folder: Path, n_cases: int, seed: int) -> Result:
    """Fill the disk in every stage in turn, then make room and call the command again.

    Args:
        reference: the undisturbed run.
        folder: where to mount a small file system.
        n_cases: how many times, divided among the stages.
        seed: of the moments and of the bytes that are left.
    """
    result, random = Result("full disk"), np.random.default_rng(seed)
    names = [name for name, stage in STAGES.items() if stage.pattern is not None]
    with small_disk(folder):
        for number in range(n_cases):
            name = names[number % len(names)]
            outcome, fault = _fill(reference, folder / "work", name, random)
            result.add(f"{name}: {outcome}", None if fault is None else f"{name}: {fault}")
    return result


def _fill(
    reference: Reference, folder: Path, name: str, random: np.random.Generator
) -> tuple[str, str | None]:
    stage = STAGES[name]
    reference.copy_before(stage.command, folder)
    arguments, _ = COMMANDS[stage.command]
    number = int(random.integers(max(count_operations(reference, stage), 1)))
    room = int(random.integers(MAX_ROOM))
    moment = f"{room} bytes left at operation {number}"
    fill = Interference("fill", stage.pattern or "", number, room)
    full = run_command(arguments, folder, fill)
    (folder / FILLER).unlink(missing_ok=True)
    if full.code == 0:
        differences = reference.find_differences(stage.command, folder)
        fault = f"{moment}: {', '.join(differences[:5])} differ, unsaid" if differences else None
        return "did not need the room", fault
    if not full.is_refused or "cannot be written" not in full.message:
        return "not one line", f"{moment}: exit code {full.code}, {full.message!r}"
    return call_again(reference, stage.command, folder, moment, "refused, then as undisturbed")
