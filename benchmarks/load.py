"""Seconds to read and check a training table, and to open the stored one of a run."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from auxfold.config.experiment import Experiment, experiment_from_dict
from auxfold.storage.run_folder import RunFolder
from auxfold.training.split import load_training_table
from benchmarks.experiment import LABELS, N_LABELS, experiment_content
from benchmarks.folds import number_texts
from benchmarks.options import make_parser
from benchmarks.parts import CPU, parts_record, summarize_part
from benchmarks.record import publish
from benchmarks.rows import make_table, write_table
from benchmarks.timing import alternate, seconds_of

EXAMPLES = """  python -m benchmarks load
  python -m benchmarks load --rows 1800000
"""
FILE = "generated.csv"


def main(argv: list[str] | None = None) -> None:
    """Measure and publish."""
    parser = make_parser("load", __doc__ or "", EXAMPLES)
    parser.add_argument("--rows", type=int, default=100_000, help="default: %(default)s")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_table(
            make_table(number_texts(args.rows, args.seed), N_LABELS, args.seed), FILE, LABELS
        )
        experiment = experiment_from_dict(experiment_content("embedded"), "benchmark")
        timed = contestants(experiment)
        for run in timed.values():
            run()
        seconds = alternate(timed, args.repetitions)
    pandas = seconds["pandas.read_csv"]
    parts = [
        summarize_part(name, args.rows, "pandas.read_csv", {"auxfold": values, "baseline": pandas})
        for name, values in seconds.items()
        if name != "pandas.read_csv"
    ]
    publish(parts_record("load", args.seed, argv, parts), args.json, not args.no_table)


def contestants(experiment: Experiment) -> dict[str, Callable[[], float]]:
    """What is timed, each as a function that returns its seconds."""
    folder = RunFolder.of(experiment).path

    def load() -> str:
        return load_training_table(experiment).fingerprint()

    def read() -> float:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return seconds_of(load, CPU)

    def reopen() -> float:
        return seconds_of(load, CPU)

    return {
        "read, check, fingerprint and store": read,
        "open the stored table with its fingerprint": reopen,
        "pandas.read_csv": lambda: seconds_of(lambda: pd.read_csv(Path(FILE)), CPU),
    }
