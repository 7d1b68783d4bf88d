"""What the notebook runs on Kaggle: find the inputs, predict in time, write the submission.

Whatever folds are finished when the time is up are averaged, so that a slow machine costs folds
instead of the submission.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.files import header_of, read_columns
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.inference.ensemble import average_folds
from auxfold.inference.submission import SampleSubmission, columns_asked_for
from auxfold.kaggle.loaded_bundle import LoadedBundle, check_bundle
from auxfold.kaggle.workers import WorkerShard, collect, finished, run_shares
from auxfold.model.precision import all_devices
from auxfold.postprocessing.averaging import check_average
from auxfold.storage.atomic import write_frame
from auxfold.tasks import Task, make_tasks, prediction_frame

__all__ = ["check_bundle", "find_inputs", "predict", "write_submission"]
RESERVE = 60.0  # seconds kept for averaging and writing


def find_inputs(bundle: Path, root: Path) -> tuple[Path, Path | None]:
    """The competition's test file and its sample submission, by name, anywhere below ``root``."""
    bundled = LoadedBundle.at(bundle)
    data = bundled.experiment.data
    test = _find(data.test or "test.csv", root, bundled.competition)
    sample = data.sample_submission
    return test, _find(sample, root, bundled.competition) if sample else None


def _find(wanted: str, root: Path, competition: str) -> Path:
    # Some competitions are mounted as they were zipped, one by one.
    name = Path(wanted).name.removesuffix(".zip")
    found = sorted([*root.rglob(name), *root.rglob(f"{name}.zip")])
    own = [path for path in found if competition in path.parts]
    if not own:
        listed = ", ".join(map(str, found)) or "none anywhere"
        raise InputError(
            f"no {name} of {competition} below {root} (found {listed}); attach the competition "
            f"to the notebook, or name another one with bundle_kaggle.py --competition"
        )
    return own[0]


def predict(
    bundle: Path,
    test: Path,
    sample: Path | None,
    hours: float,
    devices: list[str] | None = None,
    calibrate: str | None = None,
    decide: str | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Predictions of the main task, or of every task whose columns the sample submission has.

    A blend predicts what it blends.

    Args:
        bundle: the dataset as mounted.
        test: the table to predict.
        sample: the sample submission.
        hours: time budget, counted from now.
        devices: one process each; every CUDA device, or the CPU.
        calibrate: ``temperature`` or ``isotonic``, by what was bundled.
        decide: ``f1`` or ``precision=P``: answers 1 or 0 by the bundled thresholds.

    Returns:
        The submission, and the folds that were finished in time, as paths in the bundle.

    Raises:
        InputError: not one fold was finished, or the ids are not the sample's.
    """
    until = time.time() + 3600 * hours - RESERVE
    bundled = LoadedBundle.at(bundle)
    table = bundled.table(test)
    ids = table.ids
    tasks = bundled.tasks(_task_names(bundled.experiment, sample))
    heads = {run: bundled.run_tasks(run, tasks) for run in bundled.runs}
    for run, own in heads.items():
        check_average(bundled.average_of(run), own, len(ids))
    after = bundled.postprocess(tasks, calibrate, decide)
    shape = SampleSubmission.read(str(sample), ids, tasks) if sample else None
    with tempfile.TemporaryDirectory() as out:
        names = (devices or [str(device) for device in all_devices()])[: len(ids)]
        shares = [
            WorkerShard(str(bundle), str(test), out, device, number, len(names), until)
            for number, device in enumerate(names)
        ]
        run_shares(shares, {run: [task.name for task in own] for run, own in heads.items()})
        done = [fold for fold in bundled.folds if finished(shares, fold)]
        if not done:
            raise InputError(
                f"no fold was finished within {hours:g} hours (see the output above); "
                f"nothing to submit"
            )
        made = _averages(bundled, shares, done, table, heads)
    _tell_what_is_missing(bundled, done)
    means = after.apply(tasks, bundled.combine(made, len(ids)))
    frame = prediction_frame(bundled.experiment.data.id_column, ids, tasks, means)
    return (shape.fill(frame) if shape else frame), done


def _averages(
    bundled: LoadedBundle,
    shares: list[WorkerShard],
    done: list[str],
    table: Table,
    heads: dict[str, list[Task]],
) -> dict[str, dict[str, np.ndarray]]:
    """The mean of every run's finished folds, by run and task name."""
    made = {}
    for run, one in bundled.runs.items():
        folds = [fold for fold in done if bundled.run_of(fold) == run]
        if folds:
            logits = (collect(shares, fold, table, heads[run]) for fold in folds)
            average, power = bundled.average_of(run), one.experiment.inference.power
            made[run] = average_folds(logits, heads[run], average, power)
    return made


def _tell_what_is_missing(bundled: LoadedBundle, done: list[str]) -> None:
    if len(done) < len(bundled.folds):
        print(f"ONLY {len(done)} OF {len(bundled.folds)} FOLDS are averaged: {', '.join(done)}")
    runs, there = ({bundled.run_of(fold) for fold in folds} for folds in (bundled.folds, done))
    if runs - there:
        print(
            f"NO FOLD OF {', '.join(sorted(runs - there))}: the other runs' weights are scaled up"
        )


def write_submission(frame: pd.DataFrame, sample: Path | None, path: Path) -> None:
    """Write ``submission.csv`` whole, read it back, and compare its ids with the sample's.

    Raises:
        InputError: what was written is not what the competition asks for.
    """
    write_frame(path, frame)
    if sample is None:
        return
    made, asked = read_columns(path), read_columns(sample)
    same = list(made.columns) == list(asked.columns)
    if not same or made.iloc[:, 0].tolist() != asked.iloc[:, 0].tolist():
        path.unlink()
        raise InputError(f"{path} has not the columns and ids of {sample}; it was removed")


def _task_names(experiment: Experiment, sample: Path | None) -> list[str] | None:
    """Every task that the sample submission has columns of; None: the main task alone."""
    if sample is None:
        return None
    wanted = set(header_of(sample)[1:])
    names = [t.name for t in make_tasks(experiment) if wanted & set(columns_asked_for([t]))]
    return names or None
