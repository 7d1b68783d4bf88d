"""SIGKILLs at random moments: called again, every command gives what it would have given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.reliability.process import Interference, run_command
from benchmarks.reliability.workspace import COMMANDS, Reference, Result


class Stage(NamedTuple):
    """A part of a command.

    Attributes:
        command: of :data:`COMMANDS`.
        pattern: a regular expression of the paths that it changes; None: the whole command, at any
            time of it.
    """

    command: str
    pattern: str | None


STAGES = {
    "training": Stage("train 0", None),
    "evaluation": Stage("train 0", r"/kept_"),
    "checkpoint": Stage("train 0", r"/state\.safetensors"),
    "finish": Stage("train 0", r"/(fold_0|oof\.parquet|tokenizer.*|metrics\.json|run\.json)$"),
    "stored table": Stage("folds", r"/table(/|$)"),
    "tokens": Stage("train 0", r"/tokens(/|$)"),
    "folds": Stage("folds", r"/folds\.(parquet|json)$"),
    "out of fold": Stage("evaluate", r"/(oof|baseline)\.(parquet|json)$"),
    "report": Stage("evaluate", r"/(report\.html|cv\.json|postprocess\.json)$"),
    "prediction": Stage("inference", r"outputs/"),
}


def count_operations(reference: Reference, stage: Stage) -> int:
    """The file operations of a stage in the undisturbed run."""
    paths = reference.outcomes[stage.command].operations
    return sum(re.search(stage.pattern or "", path) is not None for path in paths)


def prove_kills(reference: Reference, folder: Path, n_kills: int, seed: int) -> Result:
    """Kill commands, stage after stage, call each again, and compare what is there.

    Args:
        reference: the undisturbed run.
        folder: where to work.
        n_kills: how many, divided among the stages.
        seed: of the moments.
    """
    result, random = Result("SIGKILL at a random moment"), np.random.default_rng(seed)
    names = list(STAGES)
    for number in range(n_kills):
        name = names[number % len(names)]
        outcome, fault = _kill(reference, folder, STAGES[name], random)
        result.add(f"{name}: {outcome}", None if fault is None else f"{name}: {fault}")
    return result


def _kill(
    reference: Reference, folder: Path, stage: Stage, random: np.random.Generator
) -> tuple[str, str | None]:
    """Kill a command once in a stage and call it again; how that ended, and what is wrong."""
    reference.copy_before(stage.command, folder)
    arguments, _ = COMMANDS[stage.command]
    if stage.pattern is None:
        seconds = reference.outcomes[stage.command].seconds * random.uniform(0.1, 0.95)
        killed, moment = run_command(arguments, folder, kill_after=seconds), f"{seconds:.1f} s"
        if killed.code == 0:  # the machine was busier in the undisturbed run: half way, then
            reference.copy_before(stage.command, folder)
            seconds = killed.seconds / 2
            killed, moment = run_command(arguments, folder, kill_after=seconds), f"{seconds:.1f} s"
    else:
        number = int(random.integers(max(count_operations(reference, stage), 1)))
        kill = Interference("kill", stage.pattern, number)
        killed, moment = run_command(arguments, folder, kill), f"operation {number}"
    if killed.code not in (-9, 0):
        return "ended by itself", f"exit code {killed.code} before the kill: {killed.message}"
    end = "killed, then as undisturbed" if killed.code else "ended before the kill"
    return call_again(reference, stage.command, folder, f"killed at {moment}", end)


def call_again(
    reference: Reference, command: str, folder: Path, moment: str, end: str
) -> tuple[str, str | None]:
    """Call a disturbed command again, and compare what is there with the undisturbed run.

    Args:
        reference: the undisturbed run.
        command: of :data:`COMMANDS`.
        folder: where it was disturbed.
        moment: how, for the fault.
        end: how it ended where nothing is wrong.

    Returns:
        How it ended, and what is wrong; None where nothing is.
    """
    arguments, again = COMMANDS[command]
    second = run_command([*arguments, *again], folder)
    if second.code != 0:
        return "not resumed", f"{moment}, the next call ends with {second.message!r}"
    differences = reference.find_differences(command, folder)
    if differences:
        return "other results", f"{moment}: {', '.join(differences[:5])} differ"
    return end, None
