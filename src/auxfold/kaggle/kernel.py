"""The functions that the notebook calls: find the inputs, predict in time, write the submission.

When the time is up, the folds that are finished are averaged. So a slow machine costs folds instead
of the submission.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from auxfold.data.files import read_columns, read_header
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.inference.ensemble import average_folds, prediction_average
from auxfold.inference.submission import SampleSubmission, map_submission_columns
from auxfold.kaggle.backbone_input import find_backbone
from auxfold.kaggle.inputs import find_inputs
from auxfold.kaggle.loaded_bundle import LoadedBundle, check_bundle
from auxfold.kaggle.workers import WorkerShard, collect_logits, is_finished, run_workers
from auxfold.model.amp import all_devices
from auxfold.postprocessing.averaging import check_average
from auxfold.storage.atomic import write_frame
from auxfold.tasks import TaskSet

__all__ = ["check_bundle", "find_inputs", "predict", "write_submission"]
RESERVED_SECONDS = 60.0  # for averaging and writing


def predict(
    bundle: Path,
    test: Path,
    sample: Path | None,
    hours: float,
    devices: list[str] | None = None,
    calibrate: str | None = None,
    threshold: str | None = None,
    root: Path | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Predict the main task, or every task whose columns the sample submission has.

    A blend predicts the tasks that it blends.

    Args:
        bundle: the mounted dataset.
        test: the table to predict.
        sample: the sample submission.
        hours: the time budget, counted from now.
        devices: one process each; None: every CUDA device, or the CPU.
        calibrate: ``temperature`` or ``isotonic``, as it was bundled.
        threshold: ``f1`` or ``precision=P``: predict 1 or 0 with the bundled thresholds.
        root: the folder of all inputs, for a backbone that is an input of its own.

    Returns:
        The submission, and the folds that were finished in time, as paths in the bundle.

    Raises:
        InputError: no fold was finished in time, the ids are not those of the sample, or the
            backbone is not attached.
    """
    deadline = time.time() + 3600 * hours - RESERVED_SECONDS
    loaded = LoadedBundle.from_folder(bundle)
    tasks = loaded.select_tasks(sample_tasks(loaded.tasks, sample))
    postprocess = loaded.postprocess(tasks, calibrate, threshold)
    table = loaded.table(test)
    ids = table.ids
    run_tasks = {run: loaded.run_tasks(run, tasks) for run in loaded.runs}
    for run, tasks_of_run in run_tasks.items():
        check_average(prediction_average(loaded.fold_average(run)), tasks_of_run, len(ids))
    submission = None
    if sample:
        submission = SampleSubmission.read(str(sample), ids, tasks, loaded.experiment)
    postprocess = loaded.with_decisions(postprocess, tasks, submission)
    backbone = None
    if loaded.backbone_source is not None:
        backbone = str(find_backbone(bundle, root or bundle.parent, loaded.backbone_source))
    with tempfile.TemporaryDirectory() as out:
        names = (devices or [str(device) for device in all_devices()])[: len(ids)]
        shards = [
            WorkerShard(str(bundle), str(test), out, device, number, len(names), deadline, backbone)
            for number, device in enumerate(names)
        ]
        run_workers(shards, {run: tasks_of_run.names for run, tasks_of_run in run_tasks.items()})
        folds = [fold for fold in loaded.folds if is_finished(shards, fold)]
        if not folds:
            raise InputError(
                f"no fold was finished within {hours:g} hours (see the output above); "
                f"nothing to submit"
            )
        run_predictions = _average_runs(loaded, shards, folds, table, run_tasks)
    _report_missing_folds(loaded, folds)
    predictions = postprocess.apply(tasks, loaded.combine(run_predictions, len(ids)))
    frame = tasks.prediction_frame(loaded.experiment.data.id_column, ids, predictions)
    if postprocess.note:
        print(postprocess.note)
    return (submission.fill(frame) if submission else frame), folds


def _average_runs(
    loaded: LoadedBundle,
    shards: list[WorkerShard],
    finished_folds: list[str],
    table: Table,
    run_tasks: dict[str, TaskSet],
) -> dict[str, dict[str, np.ndarray]]:
    """The mean of every run's finished folds, by run and task name."""
    predictions = {}
    for run, ensemble in loaded.runs.items():
        folds = [fold for fold in finished_folds if loaded.run_of_fold(fold) == run]
        if folds:
            tasks = run_tasks[run]
            logits = (collect_logits(shards, fold, table, tasks) for fold in folds)
            average, power = loaded.fold_average(run), ensemble.experiment.inference.power
            predictions[run] = average_folds(logits, tasks, average, power)
    return predictions


def _report_missing_folds(loaded: LoadedBundle, folds: list[str]) -> None:
    if len(folds) < len(loaded.folds):
        print(f"ONLY {len(folds)} OF {len(loaded.folds)} FOLDS are averaged: {', '.join(folds)}")
    runs = {loaded.run_of_fold(fold) for fold in loaded.folds}
    missing = sorted(runs - {loaded.run_of_fold(fold) for fold in folds})
    if missing:
        print(f"NO FOLD OF {', '.join(missing)}: the other runs' weights are scaled up")


def write_submission(frame: pd.DataFrame, sample: Path | None, path: Path) -> None:
    """Write ``submission.csv`` atomically, read it again, and compare its ids with the sample's.

    Raises:
        InputError: the written file is not what the competition expects; it is then removed.
    """
    write_frame(path, frame)
    if sample is None:
        return
    written, expected = read_columns(path), read_columns(sample)
    same_columns = list(written.columns) == list(expected.columns)
    if not same_columns or written.iloc[:, 0].tolist() != expected.iloc[:, 0].tolist():
        path.unlink()
        raise InputError(
            f"{path} does not have the columns and ids of {sample}; it was removed, so check that "
            f"{sample.name} belongs to the competition"
        )


def sample_tasks(tasks: TaskSet, sample: Path | None) -> list[str] | None:
    """Every task of which the sample submission has a column; None: only the main task."""
    if sample is None:
        return None
    columns = set(read_header(sample)[1:])
    return [task.name for task in tasks if columns & set(map_submission_columns([task]))] or None
