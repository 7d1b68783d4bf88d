"""Out-of-fold scores over all folds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.experiment import Experiment
from auxfold.run_folder import (
    FoldFolder,
    RunFolder,
    check_trained_with,
    read_json,
    trained_folds,
)
from auxfold.scoring.calibration import calibration_scores
from auxfold.scoring.released import ensemble_against_folds
from auxfold.scoring.thresholds import tune_for_precision, tune_thresholds
from auxfold.tasks import Task, all_metrics, label_slices, make_tasks, selection_metric


def cross_validate(
    experiment: Experiment, table: Table, folds: np.ndarray, precisions: Iterable[float] = ()
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The cross-validated scores and the out-of-fold predictions of all rows.

    Args:
        experiment: whose folds are trained.
        table: its training rows.
        folds: their folds.
        precisions: for each of them thresholds are tuned, see ``tune_for_precision``.

    Returns:
        A record with ``oof`` (metrics over all rows at once), ``folds`` (metrics per fold),
        ``mean`` and ``std`` over folds (sample deviation), ``thresholds`` (see
        ``tune_thresholds``), ``precision`` (by rule, ``precision=P``), ``calibration`` (see
        ``calibration_scores``), ``test`` where test labels are known
        (see ``ensemble_against_folds``), and the predictions in file order.

    Raises:
        InputError: a fold is missing, or was trained on other data or with another experiment.
    """
    run_folder = RunFolder.of(experiment)
    folders = trained_folds(run_folder, list(range(experiment.folds.n_splits)))
    check_trained_with(folders, experiment, table.fingerprint())
    tasks = make_tasks(experiment)
    oof = _collect(experiment, table, folds, folders)
    record: dict[str, Any] = {
        "experiment": experiment.name,
        "main": selection_metric(experiment),
        "rows": len(table),
        **out_of_fold_scores(tasks, table.labels, oof, folds),
        "training": [_training(folder) for folder in folders],
    }
    thresholds = tune_thresholds(tasks, table.labels, oof, folds)
    record |= {"thresholds": thresholds} if thresholds else {}
    record |= {"calibration": calibration_scores(tasks, table.labels, oof, folds)}
    told = {p: tune_for_precision(tasks, table.labels, oof, folds, p) for p in precisions}
    record |= {"precision": {f"precision={p:g}": one for p, one in told.items()}} if told else {}
    test = ensemble_against_folds(experiment)
    record |= {"test": test} if test else {}
    return record, oof


def out_of_fold_scores(
    tasks: list[Task], labels: np.ndarray, oof: pd.DataFrame, folds: np.ndarray
) -> dict[str, Any]:
    """``oof`` (metrics over all rows at once), ``folds``, and ``mean`` and ``std`` over them."""
    predictions = {t.name: oof[t.prediction_columns].to_numpy() for t in tasks}
    per_fold = []
    for fold in range(int(folds.max()) + 1):
        rows = folds == fold
        own = {name: values[rows] for name, values in predictions.items()}
        per_fold.append(all_metrics(tasks, labels[rows], own))
    return {
        "oof": all_metrics(tasks, labels, predictions),
        "folds": per_fold,
        **spread(per_fold),
    }


def worst_errors(
    experiment: Experiment, table: Table, folds: np.ndarray, oof: pd.DataFrame, rows: int = 300
) -> pd.DataFrame:
    """The rows whose main label is furthest from its out-of-fold prediction, worst first.

    Columns: the id, ``fold``, ``label``, ``prediction`` and the text's first 500 characters.
    """
    task, columns = main_slice(experiment)
    labels, predictions = table.labels[:, columns], oof[task.prediction_columns].to_numpy()
    error = np.nan_to_num(task.errors(labels, predictions), nan=-1.0)
    worst = np.argsort(-error, kind="stable")[:rows]
    worst = worst[error[worst] >= 0]  # not labelled, not wrong
    label, prediction = task.told(labels[worst], predictions[worst])
    return pd.DataFrame(
        {
            experiment.data.id_column: table.ids[worst],
            "fold": folds[worst],
            "label": label,
            "prediction": prediction,
            "text": [" | ".join(t[row] for t in table.texts)[:500] for row in worst],
        }
    )


def main_slice(experiment: Experiment) -> tuple[Task, slice]:
    """The main task with its columns' place in ``Table.labels``."""
    pairs = label_slices(make_tasks(experiment))
    return next(pair for pair in pairs if pair[0].name == experiment.main_task.name)


def spread(per_fold: list[dict[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """Mean and sample standard deviation over folds of every metric defined on all of them."""
    mean: dict[str, float | None] = {}
    std: dict[str, float | None] = {}
    for name in per_fold[0]:
        values = [metrics[name] for metrics in per_fold]
        defined = all(v is not None for v in values)
        mean[name] = float(np.mean(values)) if defined else None
        std[name] = float(np.std(values, ddof=1)) if defined else None
    return {"mean": mean, "std": std}


def _collect(
    experiment: Experiment, table: Table, folds: np.ndarray, folders: list[FoldFolder]
) -> pd.DataFrame:
    """The folds' out-of-fold files as one table in file order, joined by id."""
    pieces = []
    for fold, folder in enumerate(folders):
        piece = pd.read_parquet(folder.oof)
        if set(piece[experiment.data.id_column]) != set(table.ids[folds == fold]):
            raise InputError(f"{folder.oof} does not hold the ids of fold {fold}")
        pieces.append(piece)
    by_id = pd.concat(pieces).set_index(experiment.data.id_column)
    return by_id.loc[table.ids].rename_axis(experiment.data.id_column).reset_index()


def _training(folder: FoldFolder) -> dict[str, Any]:
    run = read_json(folder.run)
    return {key: run[key] for key in ("fold", "seconds", "rows_per_second", "precision", "device")}
