"""Seconds from a command to its first training step, and to its first prediction.

Each is a process of its own, from its start until the step or the prediction is done. The run has
its folds, tokens and stored table, as it has for every fold but the first. The baselines do the
same with ``transformers`` alone: a ``Trainer`` over tokenized rows, and a pipeline.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from auxfold.config.experiment import experiment_from_dict, to_toml
from auxfold.errors import InputError
from auxfold.model.reference import backbone_path
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from benchmarks.experiment import LABELS, N_LABELS, experiment_content
from benchmarks.options import make_parser
from benchmarks.parts import parts_record, summarize_part
from benchmarks.record import RECORDS, publish
from benchmarks.rows import generate_rows, make_table, write_table
from benchmarks.timing import alternate

EXAMPLES = """  python -m benchmarks start
  python -m benchmarks start --rows 1800000
"""
ROOT = Path(__file__).parents[1]
WARMUP_ROWS = 64


def main(argv: list[str] | None = None) -> None:
    """Measure and publish."""
    parser = make_parser("start", __doc__ or "", EXAMPLES)
    parser.add_argument("--rows", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument(
        "--backbone", default="embedded", help="a folder or embedded, or tiny; default: embedded"
    )
    args = parser.parse_args(argv)
    if args.backbone == "tiny":
        from benchmarks.backbones import random_backbone

        backbone = random_backbone("tiny", (RECORDS / "backbones").resolve())
    else:
        backbone = str(Path(backbone_path(args.backbone)).resolve())
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        prepare(backbone, args.rows, args.seed)
        timed: dict[str, Callable[[], float]] = {
            name: partial(run_probe, name, backbone) for name in [*PAIRS, *BASELINES]
        }
        for run in timed.values():
            run()
        seconds = alternate(timed, args.repetitions)
    parts = [
        summarize_part(
            PAIRS[name][0], args.rows, PAIRS[name][2],
            {"auxfold": seconds[name], "baseline": seconds[PAIRS[name][1]]},
        )
        for name in PAIRS
    ]  # fmt: skip
    publish(parts_record("start", args.seed, argv, parts), args.json, not args.no_table)


# Our probe: what it shows, its baseline's probe, and what that is called.
PAIRS = {
    "train": ("auxfold train, to the first step", "trainer", "transformers.Trainer"),
    "predict": ("auxfold.load, to the first prediction", "pipeline", "transformers.pipeline"),
}
BASELINES = [baseline for _, baseline, _ in PAIRS.values()]


def prepare(backbone: str, n_rows: int, seed: int) -> None:
    """Two runs in the current folder: ``benchmark`` with folds, ``trained`` with a trained fold."""
    from transformers import AutoTokenizer

    texts = generate_rows(n_rows, AutoTokenizer.from_pretrained(backbone), seed=seed)
    table = make_table(texts, N_LABELS, seed)
    write_table(table, "generated.csv", LABELS)
    raw = experiment_content(backbone)
    Path("experiment.toml").write_text(to_toml(experiment_from_dict(raw, "benchmark")))
    create_folds(experiment_from_dict(raw, "benchmark"))
    raw |= {"name": "trained"}
    raw["data"] |= {"rows": min(WARMUP_ROWS, n_rows)}
    raw["train"] |= {"epochs": 1}
    with contextlib.redirect_stdout(sys.stderr):
        train_fold(experiment_from_dict(raw, "benchmark"), "full")
    run_probe("train", backbone)  # which stores the tokens


def run_probe(name: str, backbone: str) -> float:
    """The seconds of a process of ``benchmarks.first_step``, until it says that it is done.

    Raises:
        InputError: the process failed.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, "-m", "benchmarks.first_step", name, backbone]
    started = time.time()
    process = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = [line for line in process.stdout.splitlines() if line.startswith("done ")]
    if not lines:
        reason = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"benchmarks start: {name} failed: {reason}")
    return float(lines[-1].split()[1]) - started
