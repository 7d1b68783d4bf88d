"""Every file of a run, damaged in four ways: refused by name, rebuilt, or not needed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.reliability.process import Interference, Outcome, run_command
from benchmarks.reliability.workspace import COMMANDS, RUN, Reference, Result, digest_outputs

Damage = Callable[[Path, Path, np.random.Generator], None]
WORKING = RUN / "fold_0.partial"


def truncate(path: Path, foreign: Path, random: np.random.Generator) -> None:
    """Cut a file off."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(int(random.integers(1, max(size, 2))))


def empty(path: Path, foreign: Path, random: np.random.Generator) -> None:
    """Leave no byte of a file."""
    path.write_bytes(b"")


def flip_bit(path: Path, foreign: Path, random: np.random.Generator) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


def replace(path: Path, foreign: Path, random: np.random.Generator) -> None:
    """Put the file of the same name of another run in its place."""
    shutil.copyfile(foreign, path)


WAYS: dict[str, Damage] = {
    "truncated": truncate, "emptied": empty, "one bit flipped": flip_bit, "of another run": replace,
}  # fmt: skip


def prove_damages(
    reference: Reference, other: Reference, folder: Path, seed: int, every: int = 1
) -> Result:
    """Damage each file of a finished run, and each of an unfinished training.

    Args:
        reference: the undisturbed run.
        other: one of other rows, whose files are the foreign ones.
        folder: where to work.
        seed: of the damage.
        every: try only every so many of the files and ways.
    """
    result, random = Result("damaged file"), np.random.default_rng(seed)
    unfinished = [make_unfinished(source, folder / source.parent.name)
                  for source in (reference, other)]  # fmt: skip
    finished = [source.parent / "done" for source in (reference, other)]
    readers = {"finished": ("evaluate", "inference"), "unfinished": ("train 0",)}
    cases = [
        (state, sources, path, way)
        for state, sources in (("finished", finished), ("unfinished", unfinished))
        for path in list_files(sources[0], state)
        for way in WAYS
        if way != "of another run" or (sources[1] / path).is_file()
    ]
    for state, sources, path, way in cases[::every]:
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(sources[0], work)
        if not (work / path).stat().st_size:
            continue
        WAYS[way](work / path, sources[1] / path, random)
        outcomes = [_judge(reference, name, work, path) for name in readers[state]]
        faults = [f"{path} {way}: {fault}" for _, fault in outcomes if fault is not None]
        result.add(outcomes[0][0], "; ".join(faults) or None)
    return result


def list_files(folder: Path, state: str) -> list[Path]:
    """The files of a run of which each is damaged, relative to its folder.

    Of the folds only the first: the others have the same files.
    """
    top = folder / (WORKING if state == "unfinished" else RUN)
    paths = [path.relative_to(folder) for path in sorted(top.rglob("*")) if path.is_file()]
    return [path for path in paths if not any(_is_left_out(part) for part in path.parts)]


def _is_left_out(part: str) -> bool:
    return part == "fold_1" or part.startswith(".")


def make_unfinished(reference: Reference, folder: Path) -> Path:
    """A copy in which a training has been killed in its last evaluation."""
    reference.copy_before("train 0", folder)
    paths = reference.outcomes["train 0"].operations
    n_states = sum("/state.safetensors" in path for path in paths)
    kill = Interference("kill", r"/state\.safetensors", max(n_states - 2, 0))
    run_command(COMMANDS["train 0"][0], folder, kill)
    return folder


def _judge(reference: Reference, name: str, folder: Path, path: Path) -> tuple[str, str | None]:
    """Call a command on a damaged run; how that ended, and what is wrong."""
    arguments, again = COMMANDS[name]
    outcome = run_command([*arguments, *again], folder)
    if outcome.is_refused:
        return _judge_refusal(outcome, name, path)
    if outcome.code != 0:
        return "no single line", f"{name} ends with {outcome.code}, {outcome.message!r}"
    compared = reference.digests["inference" if name == "evaluate" else name]
    digests = {key: value for key, value in compared.items() if _is_result(key, name)}
    current = {key: value for key, value in digest_outputs(folder).items() if key in digests}
    differences = sorted(key for key in digests if current.get(key) != digests[key])
    if differences:
        return "other results", f"{name} gives other {', '.join(differences[:5])}, unsaid"
    return "rebuilt or not needed", None


def _judge_refusal(outcome: Outcome, name: str, path: Path) -> tuple[str, str | None]:
    if path.name in outcome.message:
        return "refused by name", None
    return "refused by another name", f"{name} refuses without its name: {outcome.message!r}"


def _is_result(name: str, command: str) -> bool:
    """Whether a command answers for an output: what it wrote, or what it passes on."""
    results = {
        "evaluate": ("oof.parquet", "cv.json"),
        "inference": ("submission.csv", "predictions_main.csv", "test_by_fold.parquet"),
        "train 0": ("fold_0/model.safetensors", "fold_0/oof.parquet", "fold_0/metrics.json"),
    }
    return name in results[command]
