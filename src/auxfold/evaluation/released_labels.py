"""Predictions scored against labels that a competition released, joined by id."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config import BinarySettings, Data, MulticlassSettings
from auxfold.config.experiment import Experiment
from auxfold.data.cells import parse_labels
from auxfold.data.files import read_columns
from auxfold.data.lists import match_list_entries, expand_lists
from auxfold.errors import InputError, nearest
from auxfold.postprocessing.postprocess import stored_postprocess
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import KINDS, Task, make_tasks
from auxfold.tasks.metrics import BINARY_METRICS, f1_at_half
from auxfold.tasks.task import refuse_cell

# Competitions that released their test labels under another name than the training column's.
RENAMED = {"target": "toxicity"}  # Jigsaw 2019, test_private_expanded.csv
TUNED = "f1_tuned"
SUBSETS = 10  # of each number of folds, how many are averaged and scored at most


@dataclass(frozen=True)
class LabeledPredictions:
    """A label file and a prediction file: the same rows in the same order, cells as strings.

    Attributes:
        header: the label file's columns as they stand there.
        renamed: label columns that are understood under another name, file's name to name here.
    """

    labels_path: str
    predictions_path: str
    labels: pd.DataFrame
    predictions: pd.DataFrame
    header: list[str]
    renamed: dict[str, str]

    @property
    def unscored(self) -> int:
        """Rows in which every label that is predicted is -1, Kaggle's mark."""
        columns = [c for c in self.predictions.columns[1:] if c in self.labels.columns]
        cells = self.labels[columns].apply(lambda cells: cells.str.strip())
        return int(cells.isin(["-1", "-1.0"]).all(axis=1).sum())

    def notes(self) -> list[str]:
        """What a person should know of how the labels were read."""
        told = [f"{self.labels_path}: {old} is {new} here" for old, new in self.renamed.items()]
        if self.unscored:
            n = len(self.labels)
            left = f"{n - self.unscored:,} of {n:,} rows are scored, the others are marked -1"
            told.append(f"{self.labels_path}: {left}")
        return told

    def numbers(self, columns: list[str]) -> np.ndarray:
        """``(rows, columns)`` predictions, all of them finite numbers."""
        return _numbers(self.predictions, columns, self.predictions_path)


def read_labeled_predictions(
    labels_path: str,
    predictions_path: str,
    experiment: Experiment,
    rename: dict[str, str] | None = None,
    without_ids: bool = False,
) -> LabeledPredictions:
    """A label file and a prediction file, joined by id.

    Args:
        labels_path: a table with an id column (named as in the predictions) and labels.
        predictions_path: the id column first, then predicted columns; a single one called
            ``prediction`` stands for the main column.
        experiment: tells what columns may be called.
        rename: the label file's column to its name here.
        without_ids: the label file has none: its rows are numbered from 0.

    Raises:
        InputError: no common column, ids that differ.
    """
    predictions, labels = read_columns(predictions_path), read_columns(labels_path)
    id_column = predictions.columns[0]
    if list(predictions.columns[1:]) == ["prediction"]:
        predictions = predictions.rename(columns={"prediction": experiment.main_task.columns[0]})
    header = list(labels.columns)
    labels = with_names(labels, rename or {}, labels_path)
    asked = list(labels.columns)
    labels = renamed(labels, list(predictions.columns), experiment.data, labels_path)
    told = {old: new for old, new in zip(asked, labels.columns, strict=True) if old != new}
    labels = _with_entries(labels, experiment, labels_path)
    if without_ids or (not experiment.data.id and id_column not in labels.columns):
        labels = labels.assign(**{id_column: [str(number) for number in range(len(labels))]})
    if id_column not in labels.columns or not set(predictions.columns[1:]) & set(labels.columns):
        raise InputError(
            f"{labels_path} shares no label column with {predictions_path} "
            f"(predicted: {', '.join(predictions.columns[1:])})"
        )
    _check_ids(labels[id_column], predictions[id_column], labels_path, predictions_path)
    predictions = predictions.set_index(id_column, drop=False).loc[labels[id_column]]
    return LabeledPredictions(labels_path, predictions_path, labels, predictions, header, told)


def score_file(
    labels_path: str, predictions_path: str, metric: str | None, experiment: Experiment
) -> dict[str, float | None]:
    """:func:`score_pair` of :func:`read_pair`."""
    return score_labeled_predictions(
        read_labeled_predictions(labels_path, predictions_path, experiment), metric, experiment
    )


def score_labeled_predictions(
    pair: LabeledPredictions, metric: str | None, experiment: Experiment
) -> dict[str, float | None]:
    """Score a prediction file against a label file.

    Args:
        pair: from :func:`read_pair`; -1 in a binary label column is Kaggle's mark for a row that
            was not scored.
        metric: of the columns' kinds; the main task's default when left out. ``f1_tuned`` decides
            by the thresholds that ``scripts/evaluate.py`` tuned out of fold.
        experiment: tells which kind a column is of; an unknown column counts as binary.

    Returns:
        ``metric`` (the mean over columns on which it is defined) and ``metric/<column>``.

    Raises:
        InputError: unknown metric, values that are no numbers.
    """
    tasks = make_tasks(experiment)
    kinds = {column: task for task in tasks for column in task.settings.columns}
    main = kinds[experiment.main_task.columns[0]]
    metric = metric or main.default_metric
    cuts = _thresholds(experiment) if metric == TUNED else {}
    labels, predictions = pair.labels, pair.predictions
    made = {}
    for column in (c for c in predictions.columns[1:] if c in labels.columns):
        task = kinds.get(column) or _binary(column)
        if column in cuts:
            truth = released_labels(task, column, labels, pair.labels_path)
            decided = pair.numbers([column])[:, 0] >= cuts[column]
            made[f"{metric}/{column}"] = f1_at_half(truth, decided * 1.0)
        elif metric in task.metrics:
            truth = released_labels(task, column, labels, pair.labels_path)
            values = _values(task, column, predictions, metric, pair.predictions_path)
            made[f"{metric}/{column}"] = task.metrics[metric](truth, values)
    if not made:
        known = dict.fromkeys([*main.metrics, *BINARY_METRICS, TUNED])
        raise InputError(f"no metric {metric!r}{nearest(metric, known)}; {', '.join(known)}")
    defined = [value for value in made.values() if value is not None]
    return {metric: float(np.mean(defined)) if defined else None, **made}


def _thresholds(experiment: Experiment) -> dict[str, float]:
    """Of every binary column, tuned out of fold for F1."""
    folder = RunFolder.of(experiment)
    fold = folder.fold(experiment.folds.names[0])
    stored = stored_postprocess(folder, fold)["columns"]
    return {c: t["thresholds"]["f1"] for c, t in stored.items() if "f1" in t["thresholds"]}


def with_names(frame: pd.DataFrame, rename: dict[str, str], path: str) -> pd.DataFrame:
    """The columns under other names: the file's name to the one it gets.

    Raises:
        InputError: no such column, or one of the new name is there already.
    """
    for old, new in rename.items():
        if old not in frame.columns:
            columns = list(frame.columns)
            raise InputError(f"{path} has no column {old!r} to rename{nearest(old, columns)}")
        if new in frame.columns:
            raise InputError(f"{path} has a column {new!r} besides {old!r}, which is renamed to it")
    return frame.rename(columns=rename)


def renamed(labels: pd.DataFrame, predicted: list[str], data: Data, path: str) -> pd.DataFrame:
    """The labels under the names of the predicted columns, where those are called otherwise.

    By a competition, or in the training files, whose names ``[[data.train]]`` tells.

    Raises:
        InputError: a column may stand for two predicted ones.
    """
    pairs = [(released, trained) for trained, released in RENAMED.items()]
    pairs += [pair for source in data.sources for pair in source.rename.items()]
    names: dict[str, str] = {}
    for released, trained in pairs:
        if released not in labels.columns or trained in labels.columns or trained not in predicted:
            continue
        if names.setdefault(released, trained) != trained:
            raise InputError(
                f"{path}: column {released!r} may stand for {names[released]} or {trained}; give "
                f"predictions of one of them (inference.py --task)"
            )
    return labels.rename(columns=names)


def _with_entries(labels: pd.DataFrame, experiment: Experiment, path: str) -> pd.DataFrame:
    """With the entries of lists as columns, where the experiment's labels are such."""
    return expand_lists(labels, match_list_entries(experiment.label_columns, labels.columns), path)


def released_labels(task: Task, column: str, labels: pd.DataFrame, path: str) -> np.ndarray:
    """``(rows,)`` labels of one column, NaN where empty or not scored."""
    values = parse_labels(labels, task.settings.model_copy(update={"columns": [column]}), path)[:, 0]
    if isinstance(task.settings, BinarySettings):
        values[values == -1] = np.nan
        wrong = np.flatnonzero((values < 0) | (values > 1))
        if len(wrong):
            expected = "labels lie in [0, 1], or are -1 where a row was not scored"
            raise refuse_cell(path, column, wrong[0], values[wrong[0]], expected)
    return values


def _binary(column: str) -> Task:
    return KINDS["binary"](BinarySettings(name="column", kind="binary", columns=[column]))


def _values(
    task: Task, column: str, predictions: pd.DataFrame, metric: str, path: str
) -> np.ndarray:
    """What the metric of a column takes: ``(rows,)``, or ``(rows, classes)``."""
    if not isinstance(task.settings, MulticlassSettings):
        return _numbers(predictions, [column], path)[:, 0]
    if set(task.prediction_columns) <= set(predictions.columns):
        return _numbers(predictions, task.prediction_columns, path)
    if metric in ("auroc", "log_loss"):
        raise InputError(
            f"{path}: {metric} needs every class's probability, in columns such as "
            f"{task.prediction_columns[0]!r}"
        )
    numbers = parse_labels(predictions, task.settings, path)
    if np.isnan(numbers).any():
        raise InputError(f"{path}: a prediction in column {column!r} is empty")
    return (numbers == np.arange(task.n_outputs)) * 1.0


def _numbers(predictions: pd.DataFrame, columns: list[str], path: str) -> np.ndarray:
    values = predictions[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: a prediction is empty or not a number")
    return values


def _check_ids(labels: pd.Series, predictions: pd.Series, ours: str, theirs: str) -> None:
    for path, ids in ((ours, labels), (theirs, predictions)):
        if ids.duplicated().any():
            raise InputError(f"{path}: id {ids[ids.duplicated()].iloc[0]!r} stands there twice")
    lacking = set(labels) - set(predictions)
    if lacking:
        # Competitions released test files that are not the one to be predicted then.
        none = len(lacking) == len(labels)
        hint = f"; if it has texts, predict it: inference.py --input {ours} --output F"
        raise InputError(
            f"{theirs} lacks {len(lacking)} of the {len(labels)} ids of {ours}, "
            f"e.g. {sorted(lacking)[0]!r}{hint if none else ''}"
        )


def ensemble_against_folds(experiment: Experiment) -> dict[str, Any] | None:
    """The fold ensemble beside its single folds on test rows, which none of them saw.

    Needs ``data.test_labels`` and the folds' own predictions, which ``scripts/inference.py``
    leaves beside the submission; None without them.

    Returns:
        ``metric`` (the main task's default, of its first column), ``rows`` that were scored and
        ``scores``: number of folds averaged to the scores of up to ten choices of so many.
    """
    path, by_fold = experiment.data.test_labels, RunFolder.of(experiment).test_by_fold
    if path is None or not by_fold.is_file():
        return None
    task = KINDS[experiment.main_task.kind](experiment.main_task)
    column, id_column = experiment.main_task.columns[0], experiment.data.id_column
    frame = pd.read_parquet(by_fold)
    labels = renamed(read_columns(path), [column], experiment.data, path)
    labels = _with_entries(labels, experiment, path)
    _check_ids(labels[id_column], frame.loc[frame["fold"] == "0", id_column], path, str(by_fold))
    truth = released_labels(task, column, labels, path)
    folds = [
        piece.set_index(id_column).loc[labels[id_column], task.prediction_columns].to_numpy()
        for _, piece in frame.groupby("fold")
    ]
    metric = task.metrics[task.default_metric]
    scores = {}
    for count in range(1, len(folds) + 1):
        chosen = list(combinations(folds, count))[:SUBSETS]
        means = (task.column_predictions(np.mean(some, axis=0), 0) for some in chosen)
        scores[str(count)] = [metric(truth, mean) for mean in means]
    name = f"{task.name}/{task.default_metric}"
    return {"metric": name, "rows": int((~np.isnan(truth)).sum()), "scores": scores}
