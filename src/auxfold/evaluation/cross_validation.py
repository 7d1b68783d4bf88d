"""Out-of-fold scores over all folds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.evaluation.released_labels import ensemble_against_folds
from auxfold.evaluation.scores import evaluate_rows
from auxfold.postprocessing.postprocess import judge_postprocess
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import FoldFolder, RunFolder, check_trained_with, trained_folds
from auxfold.tasks import main_slice, make_tasks, selection_metric


def cross_validate(
    experiment: Experiment, table: Table, folds: np.ndarray, precisions: Iterable[float] = ()
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The cross-validated scores and the out-of-fold predictions of all rows that a fold holds out.

    Args:
        experiment: whose folds are trained.
        table: its training rows.
        folds: their folds.
        precisions: for each of them thresholds are tuned, see ``tune_for_precision``.

    Returns:
        A record with ``oof`` (metrics over all rows at once), ``folds`` (metrics per fold),
        ``mean`` and ``std`` over folds (sample deviation), ``bias`` (of all rows, where the
        experiment names identities), what ``judge_postprocess`` gives, ``test`` where test labels
        are known (see ``ensemble_against_folds``), and the predictions in file order.

    Raises:
        InputError: a fold is missing, or was trained on other data or with another experiment.
    """
    run_folder = RunFolder.of(experiment)
    folders = trained_folds(run_folder, list(experiment.folds.names))
    check_trained_with(folders, experiment, table.fingerprint())
    table, folds = held_out(table, folds)
    tasks = make_tasks(experiment)
    oof = _collect(experiment, table, folds, folders)
    record: dict[str, Any] = {
        "experiment": experiment.name,
        "main": selection_metric(experiment),
        "rows": len(table),
        **out_of_fold_scores(experiment, table, oof, folds),
        "training": [_training(folder) for folder in folders],
    }
    record |= judge_postprocess(tasks, table.labels, oof, folds, precisions)
    test = ensemble_against_folds(experiment)
    record |= {"test": test} if test else {}
    return record, oof


def held_out(table: Table, folds: np.ndarray) -> tuple[Table, np.ndarray]:
    """The rows that some fold holds out, and their folds: all, but under ``folds.validation``."""
    rows = np.flatnonzero(folds >= 0)
    return (table, folds) if len(rows) == len(table) else (table.take(rows), folds[rows])


def out_of_fold_scores(
    experiment: Experiment, table: Table, oof: pd.DataFrame, folds: np.ndarray
) -> dict[str, Any]:
    """``oof`` (metrics over all rows at once), ``folds``, and ``mean`` and ``std`` over them.

    Where the experiment names identities also ``bias``, see ``jigsaw_bias.Bias``.
    """
    tasks = make_tasks(experiment)
    predictions = {t.name: oof[t.prediction_columns].to_numpy() for t in tasks}
    per_fold = []
    for fold in range(int(folds.max()) + 1):
        rows = folds == fold
        own = {name: values[rows] for name, values in predictions.items()}
        per_fold.append(evaluate_rows(experiment, table, rows, own).metrics)
    whole = evaluate_rows(experiment, table, np.arange(len(table)), predictions)
    bias = {} if whole.bias is None else {"bias": asdict(whole.bias)}
    return {"oof": whole.metrics, "folds": per_fold, **spread(per_fold), **bias}


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
    label, prediction = task.format_examples(labels[worst], predictions[worst])
    return pd.DataFrame(
        {
            experiment.data.id_column: table.ids[worst],
            "fold": folds[worst],
            "label": label,
            "prediction": prediction,
            "text": [" | ".join(t[row] for t in table.texts)[:500] for row in worst],
        }
    )


def spread(per_fold: list[dict[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """Mean and sample standard deviation over folds of every metric defined on all of them.

    One fold has no deviation.
    """
    mean: dict[str, float | None] = {}
    std: dict[str, float | None] = {}
    for name in per_fold[0]:
        values = [metrics[name] for metrics in per_fold]
        defined = all(v is not None for v in values)
        mean[name] = float(np.mean(values)) if defined else None
        several = defined and len(values) > 1
        std[name] = float(np.std(values, ddof=1)) if several else None
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
