"""Out-of-fold scores over all folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.ids import check_same_ids
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.evaluation.fold_ensemble import score_fold_ensembles
from auxfold.evaluation.fold_ranks import scores_of_fold_ranks
from auxfold.evaluation.intervals import MetricIntervals, main_metrics
from auxfold.evaluation.score_notes import few_rows_notes, fold_scale_notes, soup_notes
from auxfold.evaluation.scores import evaluate_rows, find_non_finite
from auxfold.postprocessing.fitting import evaluate_postprocess
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.storage.trained import check_trained_with, trained_folds
from auxfold.tasks import TaskSet


def cross_validate(
    experiment: Experiment,
    tasks: TaskSet,
    table: Table,
    folds: np.ndarray,
    target_precisions: Iterable[float] = (),
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The cross-validated scores, and the out-of-fold predictions of all rows of any fold.

    Args:
        experiment: whose folds are trained.
        tasks: its tasks.
        table: its training rows.
        folds: the fold of every row, ``(rows,)``.
        target_precisions: thresholds are tuned for each of them, see ``tune_for_precision``.

    Returns:
        A record with ``oof`` (metrics over all rows at once), ``folds`` (metrics per fold),
        ``mean`` and ``std`` over folds (sample deviation), ``rank_within_folds`` (see
        ``scores_of_fold_ranks``), ``intervals`` (see ``MetricIntervals``), ``notes`` for a reader,
        ``bias`` (of all rows, where the experiment names identities), what
        ``evaluate_postprocess`` returns, ``test`` where test labels are known (see
        ``score_fold_ensembles``). And the predictions in file order.

    Raises:
        InputError: a fold is missing, was trained on other data or with another experiment, or has
            predictions that are not finite.
    """
    run_folder = RunFolder.of(experiment)
    folders = trained_folds(run_folder, list(experiment.folds.names), are_chosen=False)
    check_trained_with(folders, experiment, table.fingerprint())
    table, folds = select_held_out(table, folds)
    oof = _join_oof(experiment.data.id_column, tasks, table, folds, folders)
    record: dict[str, Any] = {
        "experiment": experiment.name,
        "main": tasks.selection_metric,
        "rows": len(table),
        **out_of_fold_scores(tasks, table, oof, folds, experiment.identities.columns),
        "training": [_describe_training(folder) for folder in folders],
    }
    record |= _certainty(experiment, tasks, table, oof, folds, record)
    record |= evaluate_postprocess(tasks, table.labels, oof, folds, target_precisions)
    test = score_fold_ensembles(experiment, tasks)
    record |= {"test": test} if test else {}
    return record, oof


def select_held_out(table: Table, folds: np.ndarray) -> tuple[Table, np.ndarray]:
    """The rows that some fold holds out, and their folds.

    These are all rows but those with fold -1: rows outside of ``folds.validation``, and labeled
    examples of the test file.
    """
    indices = np.flatnonzero(folds >= 0)
    return (table, folds) if len(indices) == len(table) else (table.take(indices), folds[indices])


def out_of_fold_scores(
    tasks: TaskSet,
    table: Table,
    oof: pd.DataFrame,
    folds: np.ndarray,
    identities: Sequence[str] = (),
) -> dict[str, Any]:
    """``oof`` (metrics over all rows at once), ``folds``, and ``mean`` and ``std`` over them.

    With identities also ``bias``, see ``jigsaw_bias.Bias``.

    Args:
        tasks: all tasks of the experiment.
        table: the rows that some fold holds out.
        oof: their predictions, in the same order.
        folds: their folds, ``(rows,)``.
        identities: the names of the columns of ``table.identities``.
    """
    predictions = {task.name: oof[task.prediction_columns].to_numpy() for task in tasks}
    per_fold = []
    for fold in range(int(folds.max()) + 1):
        mask = folds == fold
        of_fold = {name: values[mask] for name, values in predictions.items()}
        per_fold.append(evaluate_rows(tasks, table, mask, of_fold, identities).metrics)
    overall = evaluate_rows(tasks, table, np.arange(len(table)), predictions, identities)
    bias = {} if overall.bias is None else {"bias": asdict(overall.bias)}
    return {"oof": overall.metrics, "folds": per_fold, **mean_and_std(per_fold), **bias}


def _certainty(
    experiment: Experiment,
    tasks: TaskSet,
    table: Table,
    oof: pd.DataFrame,
    folds: np.ndarray,
    record: dict[str, Any],
) -> dict[str, Any]:
    """How far to trust the scores: ``rank_within_folds``, ``intervals`` and ``notes``."""
    predictions = {task.name: oof[task.prediction_columns].to_numpy() for task in tasks}
    identities = experiment.identities.columns
    ranked = scores_of_fold_ranks(tasks, table, predictions, folds, record, identities)
    intervals = {
        metric: interval
        for metric in main_metrics(tasks)
        if record["oof"].get(metric) is not None
        for interval in [
            MetricIntervals(experiment, tasks, table, folds, metric).interval(predictions)
        ]
        if interval is not None
    }
    notes = few_rows_notes(tasks, table.labels)
    notes += fold_scale_notes({**record, "rank_within_folds": ranked})
    notes += soup_notes(experiment.inference.average)
    return {"intervals": intervals, "rank_within_folds": ranked, "notes": notes}


def worst_errors(
    tasks: TaskSet,
    table: Table,
    folds: np.ndarray,
    oof: pd.DataFrame,
    id_column: str,
    n_rows: int = 300,
) -> pd.DataFrame:
    """The rows whose main label is furthest from its out-of-fold prediction, worst first.

    Columns: the id, ``fold``, ``label``, ``prediction`` and the text's first 500 characters; of
    several texts, an equal part of each.
    """
    task = tasks.main
    labels = table.labels[:, tasks.main_slice]
    predictions = oof[task.prediction_columns].to_numpy()
    errors = np.nan_to_num(task.errors(labels, predictions), nan=-1.0)
    worst = np.argsort(-errors, kind="stable")[:n_rows]
    worst = worst[errors[worst] >= 0]  # a row without a label has no error
    label, prediction = task.format_examples(labels[worst], predictions[worst])
    return pd.DataFrame(
        {
            id_column: table.ids[worst],
            "fold": folds[worst],
            "label": label,
            "prediction": prediction,
            "text": [_shorten([texts[row] for texts in table.texts]) for row in worst],
        }
    )


def _shorten(texts: list[str], n_characters: int = 500) -> str:
    """The starts of the texts of a row, side by side."""
    return " | ".join(text[: n_characters // len(texts)] for text in texts)


def mean_and_std(per_fold: list[dict[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """``mean`` and ``std`` (sample deviation) over folds of every metric; None where undefined.

    A metric has a mean where every fold has a value, and a deviation where there are also two
    folds or more.
    """
    mean: dict[str, float | None] = {}
    std: dict[str, float | None] = {}
    for name in per_fold[0]:
        values = [value for metrics in per_fold if (value := metrics[name]) is not None]
        is_defined = len(values) == len(per_fold)
        mean[name] = float(np.mean(values)) if is_defined else None
        std[name] = float(np.std(values, ddof=1)) if is_defined and len(values) > 1 else None
    return {"mean": mean, "std": std}


def _join_oof(
    id_column: str, tasks: TaskSet, table: Table, folds: np.ndarray, folders: list[FoldFolder]
) -> pd.DataFrame:
    """The folds' out-of-fold files as one table in file order, joined by id."""
    columns = [id_column, *tasks.prediction_columns]
    frames = []
    for fold, folder in enumerate(folders):
        frame = folder.read_oof(columns)
        ids = table.ids[folds == fold]
        check_same_ids(ids, frame[id_column], f"fold {fold}", str(folder.oof))
        n_rows = len(find_non_finite({"": frame[tasks.prediction_columns].to_numpy()}))
        if n_rows:
            raise InputError(
                f"{folder.oof}: {n_rows:,} of {len(frame):,} rows have predictions that are not "
                f"finite, so no score is defined; train the fold again with train.precision = "
                f"'bf16' or 'fp32' (--overwrite)"
            )
        frames.append(frame)
    by_id = pd.concat(frames).set_index(id_column).loc[table.ids]
    predictions = {task.name: by_id[task.prediction_columns].to_numpy() for task in tasks}
    return tasks.out_of_fold_frame(id_column, table.ids, folds, predictions, table.labels)


def _describe_training(folder: FoldFolder) -> dict[str, Any]:
    run = folder.read_run()
    return {key: run[key] for key in ("fold", "seconds", "rows_per_second", "precision", "device")}
