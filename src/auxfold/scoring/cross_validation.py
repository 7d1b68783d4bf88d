"""Out-of-fold scores over all folds, and scores of a prediction file against labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from auxfold.data.files import read_columns
from auxfold.data.table import Table, numbers_of
from auxfold.errors import InputError, nearest
from auxfold.experiment import Experiment
from auxfold.run_folder import (
    FoldFolder,
    RunFolder,
    check_trained_with,
    read_json,
    trained_folds,
)
from auxfold.tasks import Task, all_metrics, make_tasks, selection_metric
from auxfold.tasks.metrics import METRICS
from auxfold.tasks.task import refuse_cell

# Competitions that released their test labels under another name than the training column's.
RENAMED = {"target": "toxicity"}  # Jigsaw 2019, test_private_expanded.csv


def cross_validate(
    experiment: Experiment, table: Table, folds: np.ndarray
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The cross-validated scores and the out-of-fold predictions of all rows.

    Returns:
        A record with ``oof`` (metrics over all rows at once), ``folds`` (metrics per fold),
        ``mean`` and ``std`` over folds (sample deviation), and the predictions in file order.

    Raises:
        InputError: a fold is missing, or was trained on other data or with another experiment.
    """
    run_folder = RunFolder.of(experiment)
    folders = trained_folds(run_folder, list(range(experiment.folds.n_splits)))
    check_trained_with(folders, experiment, table.fingerprint())
    tasks = make_tasks(experiment)
    oof = _collect(experiment, table, folds, folders)
    record = {
        "experiment": experiment.name,
        "main": selection_metric(experiment),
        "rows": len(table),
        **out_of_fold_scores(tasks, table.labels, oof, folds),
        "training": [_training(folder) for folder in folders],
    }
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
    column = experiment.main_task.columns[0]
    label = table.labels[:, experiment.label_columns.index(column)]
    error = np.nan_to_num(np.abs(label - oof[column].to_numpy()), nan=-1.0)
    worst = np.argsort(-error, kind="stable")[:rows]
    worst = worst[error[worst] >= 0]  # not labelled, not wrong
    return pd.DataFrame(
        {
            experiment.data.id: table.ids[worst],
            "fold": folds[worst],
            "label": label[worst],
            "prediction": oof[column].to_numpy()[worst],
            "text": [" | ".join(t[row] for t in table.texts)[:500] for row in worst],
        }
    )


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
        if set(piece[experiment.data.id]) != set(table.ids[folds == fold]):
            raise InputError(f"{folder.oof} does not hold the ids of fold {fold}")
        pieces.append(piece)
    by_id = pd.concat(pieces).set_index(experiment.data.id)
    return by_id.loc[table.ids].rename_axis(experiment.data.id).reset_index()


def _training(folder: FoldFolder) -> dict[str, Any]:
    run = read_json(folder.run)
    return {key: run[key] for key in ("fold", "seconds", "rows_per_second", "precision", "device")}


def score_file(
    labels_path: str, predictions_path: str, metric: str, main_column: str
) -> dict[str, float | None]:
    """Score a prediction file against a label file, joined by id.

    Args:
        labels_path: a table with an id column (named as in the predictions) and labels.
        predictions_path: the id column first, then predicted columns; a single one called
            ``prediction`` stands for ``main_column``.
        metric: ``auc``, ``ap`` or ``log_loss``.
        main_column: see above.

    Returns:
        ``metric`` (the mean over columns on which it is defined) and ``metric/<column>``.

    Raises:
        InputError: unknown metric, no common column, ids that differ, values that are no numbers.
    """
    if metric not in METRICS:
        raise InputError(f"no metric {metric!r}{nearest(metric, METRICS)}; {', '.join(METRICS)}")
    predictions, labels = read_columns(predictions_path), read_columns(labels_path)
    id_column = predictions.columns[0]
    if list(predictions.columns[1:]) == ["prediction"]:
        predictions = predictions.rename(columns={"prediction": main_column})
    for trained, released in RENAMED.items():
        if trained in predictions.columns and trained not in labels.columns:
            labels = labels.rename(columns={released: trained})
    columns = [c for c in predictions.columns[1:] if c in labels.columns]
    if id_column not in labels.columns or not columns:
        raise InputError(
            f"{labels_path} shares no label column with {predictions_path} "
            f"(predicted: {', '.join(predictions.columns[1:])})"
        )
    _check_ids(labels[id_column], predictions[id_column], labels_path, predictions_path)
    truth = _released_labels(labels, columns, labels_path)
    values = numbers_of(predictions, columns, predictions_path)
    if np.isnan(values).any():
        raise InputError(f"{predictions_path}: a prediction is empty or not a number")
    by_id = pd.DataFrame(values, index=predictions[id_column])
    scores = by_id.loc[labels[id_column]].to_numpy()
    made = {
        f"{metric}/{column}": METRICS[metric](truth[:, i], scores[:, i])
        for i, column in enumerate(columns)
    }
    defined = [value for value in made.values() if value is not None]
    return {metric: float(np.mean(defined)) if defined else None, **made}


def _released_labels(labels: pd.DataFrame, columns: list[str], path: str) -> np.ndarray:
    """``(rows, columns)``, NaN where empty or -1: Kaggle's mark for a row that was not scored."""
    values = numbers_of(labels, columns, path)
    values[values == -1] = np.nan
    row, column = np.nonzero((values < 0) | (values > 1))
    if len(row):
        raise refuse_cell(path, columns[column[0]], row[0], values[row[0], column[0]],
                          "labels lie in [0, 1], or are -1 where a row was not scored")  # fmt: skip
    return values


def _check_ids(labels: pd.Series, predictions: pd.Series, ours: str, theirs: str) -> None:
    for path, ids in ((ours, labels), (theirs, predictions)):
        if ids.duplicated().any():
            raise InputError(f"{path}: id {ids[ids.duplicated()].iloc[0]!r} stands there twice")
    lacking = set(labels) - set(predictions)
    if lacking:
        raise InputError(
            f"{theirs} lacks {len(lacking)} of the {len(labels)} ids of {ours}, "
            f"e.g. {sorted(lacking)[0]!r}"
        )
