"""A small competition, the commands that go through it, and what must be equal at its end."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import experiment_from_dict, to_toml
from auxfold.errors import InputError
from benchmarks.backbones import random_backbone
from benchmarks.reliability.process import Outcome, run_command

NAME = "reliability"
RUN = Path("outputs", NAME)
CONFIG = ("--config", "experiment.toml")
# Every command, with what is added to it where it is called again after an interruption.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "folds": (("make-folds", *CONFIG), ("--overwrite",)),
    "train 0": (("train", *CONFIG, "--fold", "0"), ("--resume",)),
    "train 1": (("train", *CONFIG, "--fold", "1"), ("--resume",)),
    "evaluate": (("evaluate", *CONFIG), ()),
    "inference": (("inference", *CONFIG), ()),
}
SETTLED = 2.1  # seconds, from which a stored table trusts that a file will not change any more
LEFTOVERS = (".auxfold-*", "*.partial", "*.old")


@dataclass
class Result:
    """What a proof has shown.

    Attributes:
        proof: what was tried.
        cases: how often.
        faults: what went wrong, a line each.
        outcomes: how often it ended in which way.
        facts: other numbers.
        minutes: how long it took.
    """

    proof: str
    cases: int = 0
    faults: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    minutes: float = 0.0

    def add(self, outcome: str, fault: str | None = None) -> None:
        """Count one case."""
        self.cases += 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if fault is not None:
            self.faults.append(fault)


@dataclass(frozen=True)
class Reference:
    """The undisturbed way through all commands.

    Attributes:
        parent: holds the folder before each command (``folds``, …), and ``done``.
        outcomes: command to how it ended.
        digests: command to what is there after it, see :func:`digest_outputs`.
    """

    parent: Path
    outcomes: dict[str, Outcome]
    digests: dict[str, dict[str, str]]

    def copy_before(self, command: str, folder: Path) -> None:
        """A fresh folder in which the command is the next."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.parent / command, folder)

    def find_differences(self, command: str, folder: Path) -> list[str]:
        """What differs in a folder from the undisturbed run after the command."""
        digests = digest_outputs(folder)
        expected = self.digests[command]
        names = [name for name in sorted({*digests, *expected})
                 if digests.get(name) != expected.get(name)]  # fmt: skip
        return [*names, *find_leftovers(folder)]


def make_workspace(folder: Path, seed: int, n_rows: int, backbones: Path) -> None:
    """Write tables of generated texts and an experiment for them.

    The tables are next to the folder, so that a table that was stored from them is valid in copies
    of the folder, too.

    Args:
        folder: where.
        seed: of the rows and of the experiment.
        n_rows: to train on.
        backbones: a folder for the backbone of random weights.
    """
    folder.mkdir(parents=True)
    data = folder.resolve().with_name("data")
    data.mkdir()
    random = np.random.default_rng(seed)
    words = ["garden", "train", "bread", "rain", "good", "bad", "silly", "goose", "soup", "not"]
    texts = [" ".join(random.choice(words, random.integers(2, 20))) for _ in range(2 * n_rows)]
    frame = pd.DataFrame({"id": [f"r{n}" for n in range(2 * n_rows)], "text": texts})
    frame["rude"] = ["goose" in text for text in texts]
    frame["kind"] = [np.nan if n % 5 == 0 else float("good" in text)
                     for n, text in enumerate(texts)]  # fmt: skip
    frame["rude"] = frame["rude"].astype(int)
    frame[:n_rows].to_csv(data / "train.csv", index=False)
    frame.loc[n_rows:, ["id", "text"]].to_csv(data / "test.csv", index=False)
    content = {
        "name": NAME,
        "seed": seed,
        "data": {"train": str(data / "train.csv"), "test": str(data / "test.csv")},
        "folds": {"n_splits": 2},
        "model": {"backbone": random_backbone("tiny", backbones.resolve()), "max_length": 24},
        "tasks": [
            {"name": "main", "kind": "binary", "columns": ["rude"], "main": True},
            {"name": "aux", "kind": "binary", "columns": ["kind"]},
        ],
        "train": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "precision": "fp32",
                  "evaluations_per_epoch": 2, "checkpoint_minutes": 0.0001},
        "tracking": {"wandb": "off"},
    }  # fmt: skip
    (folder / "experiment.toml").write_text(to_toml(experiment_from_dict(content, "reliability")))
    time.sleep(SETTLED)


def run_reference(parent: Path, seed: int, n_rows: int, backbones: Path) -> Reference:
    """Go through all commands undisturbed.

    Raises:
        InputError: a command fails without any disturbance.
    """
    folder = parent / "done"
    make_workspace(folder, seed, n_rows, backbones)
    reference = Reference(parent, {}, {})
    for name, (arguments, _) in COMMANDS.items():
        shutil.copytree(folder, parent / name)
        outcome = run_command(arguments, folder)
        if outcome.code != 0:
            raise InputError(f"auxfold {' '.join(arguments)} fails undisturbed: {outcome.message}")
        reference.outcomes[name] = outcome
        reference.digests[name] = digest_outputs(folder)
    return reference


def digest_outputs(folder: Path) -> dict[str, str]:
    """Path to a digest of the content, of every output that is the same in every run."""
    digests = {}
    for path in sorted((folder / RUN).rglob("*")):
        content = _readable_content(path) if path.is_file() else None
        if content is not None:
            name = path.relative_to(folder / RUN).as_posix()
            digests[name] = hashlib.sha256(content).hexdigest()[:16]
    return digests


def _readable_content(path: Path) -> bytes | None:
    """As :func:`_stable_content`; all bytes of a file that is damaged."""
    try:
        return _stable_content(path)
    except (OSError, ValueError):
        return path.read_bytes()


def _stable_content(path: Path) -> bytes | None:
    """What a file says, without times; None where it is not compared."""
    folders = path.parts[-2:-1]
    if path.name == "model.safetensors" or path.suffix == ".csv" or path.name == "metrics.json":
        return path.read_bytes()
    if path.suffix == ".parquet" and folders != ("table",):
        return pd.read_parquet(path).to_csv(index=False).encode()
    if path.name == "history.jsonl":
        return b"".join(_without_times(line) for line in path.read_text().splitlines())
    if path.name == "cv.json":
        return _without_times(path.read_text())
    return b"" if path.name == "report.html" else None


def _without_times(text: str) -> bytes:
    content = json.loads(text)
    for key in ("seconds", "training", "rows_per_second"):
        content.pop(key, None)
    return json.dumps(content, sort_keys=True).encode()


def find_leftovers(folder: Path) -> list[str]:
    """What an interrupted command has left behind."""
    return [f"leftover {path.name}" for pattern in LEFTOVERS for path in _below(folder, pattern)]


def _below(folder: Path, pattern: str) -> Iterator[Path]:
    return (folder / RUN).rglob(pattern)
