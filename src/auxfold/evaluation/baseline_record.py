"""The scores of two baselines next to those of a run, on the same rows and folds."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.evaluation.baseline import tfidf_out_of_fold
from auxfold.evaluation.fold_ranks import rank_within_folds
from auxfold.evaluation.intervals import MetricIntervals, Predictions, main_metrics
from auxfold.evaluation.scores import evaluate_rows
from auxfold.storage.atomic import frame_writer, read_json
from auxfold.storage.checksums import atomic_write_checked, is_intact, write_json_checked
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.class_task import ClassTask

MAX_ROWS = 50_000
MAX_LABELS = 1_000_000  # rows times predicted columns: fewer rows where there are many labels
MAX_CELLS = 200_000_000  # n-grams of characters that all models together read: about a minute
VERSION = 1  # of the models; a stored baseline of another one is computed again
SLOW_SECONDS = 5.0  # from which the progress is said


def baseline_record(
    experiment: Experiment,
    tasks: TaskSet,
    table: Table,
    folds: np.ndarray,
    oof: pd.DataFrame,
    ranked_metrics: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """What ``cv.json`` holds as ``baselines``: their scores, and what the run gains over them.

    ``majority`` predicts the mean label of the rows, or the shares of their classes. ``tfidf`` is
    computed once, stored in the run folder, and computed again for other rows, folds or tasks.

    Args:
        experiment: whose run folder holds the stored baseline.
        tasks: its tasks.
        table: its training rows.
        folds: the fold of every row, ``(rows,)``.
        oof: the out-of-fold predictions of the run, by id.
        ranked_metrics: metrics whose gains are those of ranks within folds, see
            ``scores_of_fold_ranks``.
        say: is called with a line about what takes long.

    Returns:
        ``rows``, ``majority``, ``tfidf``, ``run`` and ``gains``, see the page on the run folder.
    """
    indices = sample_rows(folds, sum(task.n_outputs for task in tasks))
    table, folds = table.take(indices), folds[indices]
    tfidf = _stored_baseline(experiment, tasks, table, folds, say)
    held_out = np.flatnonzero(folds >= 0)
    table, folds, tfidf = table.take(held_out), folds[held_out], tfidf.iloc[held_out]
    run = oof.set_index(experiment.data.id_column).loc[table.ids]
    predictions = {
        "run": {task.name: run[task.prediction_columns].to_numpy() for task in tasks},
        "majority": majority_predictions(tasks, table.labels),
        "tfidf": {task.name: tfidf[task.prediction_columns].to_numpy() for task in tasks},
    }
    identities, everything = experiment.identities.columns, np.arange(len(table))
    scores = {
        name: evaluate_rows(tasks, table, everything, values, identities).metrics
        for name, values in predictions.items()
    }
    gains = {}
    for metric in main_metrics(tasks):
        if scores["run"].get(metric) is not None:
            intervals = MetricIntervals(experiment, tasks, table, folds, metric)
            by_name = predictions
            if metric in ranked_metrics:
                by_name = {name: rank_within_folds(p, folds) for name, p in predictions.items()}
            gains[metric] = _gains(intervals, by_name)
    return {"rows": len(table), **scores, "gains": gains}


def _gains(
    intervals: MetricIntervals, predictions: dict[str, Predictions]
) -> dict[str, dict[str, float]]:
    baselines = {name: values for name, values in predictions.items() if name != "run"}
    return intervals.gains(predictions["run"], baselines)


def sample_rows(folds: np.ndarray, columns: int) -> np.ndarray:
    """The numbers of the rows that the baselines have, in order: at most 50,000, at random.

    Args:
        folds: the fold of every row, ``(rows,)``.
        columns: the number of predicted columns.
    """
    limit = min(MAX_ROWS, max(1, MAX_LABELS // columns))
    if len(folds) <= limit:
        return np.arange(len(folds))
    return np.sort(np.random.default_rng(0).permutation(len(folds))[:limit])


def majority_predictions(tasks: TaskSet, labels: np.ndarray) -> Predictions:
    """The same prediction for every row: the mean label, or the share of every class.

    Args:
        tasks: all tasks of the experiment.
        labels: ``Table.labels`` of the rows, ``(rows, label columns)``.
    """
    return {
        task.name: np.tile(_mean_label(task, labels[:, columns]), (len(labels), 1))
        for task, columns in tasks.items()
    }


def _mean_label(task: Task, labels: np.ndarray) -> np.ndarray:
    """``(n_outputs,)``; 0 without a label."""
    values = task.class_shares(labels) if isinstance(task, ClassTask) else labels
    n_labels = (~np.isnan(values)).sum(axis=0)
    return np.nansum(values, axis=0, dtype=np.float64) / np.maximum(n_labels, 1)


def _stored_baseline(
    experiment: Experiment,
    tasks: TaskSet,
    table: Table,
    folds: np.ndarray,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """The predictions of TF-IDF for all rows: those of the run folder, or computed and stored."""
    folder, expected = RunFolder.of(experiment), _describe(tasks, table, folds)
    is_stored = is_intact(folder.baseline_info) and is_intact(folder.baseline)
    if is_stored and read_json(folder.baseline_info) == expected:
        return pd.read_parquet(folder.baseline)
    start = time.monotonic()

    def on_fold(done: int, total: int) -> None:
        seconds = time.monotonic() - start
        if seconds > SLOW_SECONDS and done < total:
            left = seconds / done * (total - done)
            say(f"TF-IDF baseline: fold {done} of {total}, about {left:.0f} s left")

    say(f"TF-IDF baseline of {len(table):,} rows, computed once (--no-baseline leaves it out)")
    predictions = tfidf_out_of_fold(experiment, tasks, table, folds, MAX_CELLS, on_fold)
    # The record goes first and comes last: predictions without it are of other rows.
    folder.baseline_info.unlink(missing_ok=True)
    predictions.insert(0, experiment.data.id_column, table.ids)
    atomic_write_checked(folder.baseline, frame_writer(folder.baseline, predictions))
    write_json_checked(folder.baseline_info, expected)
    return predictions


def _describe(tasks: TaskSet, table: Table, folds: np.ndarray) -> dict[str, Any]:
    """What a stored baseline was computed from."""
    return {
        "version": VERSION,
        "data_fingerprint": table.fingerprint(),
        "folds": hashlib.sha256(folds.astype(np.int64).tobytes()).hexdigest()[:16],
        "tasks": {task.name: [task.kind, *task.prediction_columns] for task in tasks},
    }
