"""A prediction file and a label file, joined by id: for labels that a competition released."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.config import BinarySettings, Data, TagsSettings
from auxfold.config.experiment import Experiment
from auxfold.config.task_settings import is_annotation
from auxfold.data.binary_labels import check_positive_words
from auxfold.data.files import read_columns
from auxfold.data.ids import check_ids_present, check_unique_ids
from auxfold.data.labels import parse_labels
from auxfold.data.lists import expand_lists, match_list_entries
from auxfold.data.objects import expand_objects, match_object_keys
from auxfold.data.tags import expand_tags
from auxfold.errors import InputError, nearest
from auxfold.tasks import Task
from auxfold.tasks.task import refuse_cell

# Training columns that a competition called otherwise in the test labels that it released.
RELEASED_NAMES = {"target": "toxicity"}  # Jigsaw 2019, test_private_expanded.csv


@dataclass(frozen=True)
class LabeledPredictions:
    """A label file and a prediction file: the same rows in the same order, cells as strings.

    Attributes:
        labels_path: the label file.
        predictions_path: the prediction file.
        labels: the label file's rows, its columns renamed to those that are predicted.
        predictions: the predictions of these rows, the id column first.
        header: the label file's columns as they are called there.
        renamed: label columns that were recognized under another name, the file's name to the
            predicted column's.
        label_notes: what else a reader should know of the labels.
    """

    labels_path: str
    predictions_path: str
    labels: pd.DataFrame
    predictions: pd.DataFrame
    header: list[str]
    renamed: dict[str, str]
    label_notes: list[str]

    @property
    def columns(self) -> list[str]:
        """The columns that are both predicted and labeled."""
        return [c for c in self.predictions.columns[1:] if c in self.labels.columns]

    @property
    def n_unscored(self) -> int:
        """The number of rows in which every predicted label is -1, Kaggle's mark."""
        cells = self.labels[self.columns].apply(lambda cells: cells.str.strip())
        return int(cells.isin(["-1", "-1.0"]).all(axis=1).sum())

    def notes(self) -> list[str]:
        """What a reader of the scores should know about how the labels were read."""
        notes = [f"{self.labels_path}: {old} is {new} here" for old, new in self.renamed.items()]
        notes += [f"{self.labels_path}: {note}" for note in self.label_notes]
        if self.n_unscored:
            n = len(self.labels)
            rows = f"{n - self.n_unscored:,} of {n:,} rows are scored, the others are marked -1"
            notes.append(f"{self.labels_path}: {rows}")
        return notes

    def parse_labels(self, task: Task, column: str) -> np.ndarray:
        """The labels of one column, ``(rows,)``, NaN where empty or not scored.

        Raises:
            InputError: a label that the task cannot have.
        """
        return parse_released_labels(task, column, self.labels, self.labels_path)

    def parse_predictions(self, columns: list[str]) -> np.ndarray:
        """``(rows, len(columns))`` predictions.

        Raises:
            InputError: a prediction is empty or not a finite number.
        """
        cells = self.predictions[columns].apply(pd.to_numeric, errors="coerce")
        values = cells.to_numpy(dtype=np.float64)
        if not np.isfinite(values).all():
            raise InputError(f"{self.predictions_path}: a prediction is empty or not a number")
        return values


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
        predictions_path: the id column first, then predicted columns; a single column called
            ``prediction`` stands for the main column.
        experiment: names the columns.
        rename: the label file's column to its name in the experiment.
        without_ids: the label file has no ids: its rows are numbered from 0.

    Raises:
        InputError: no common column, or ids that differ.
    """
    predictions, labels = read_columns(predictions_path), read_columns(labels_path)
    predictions = predictions[[c for c in predictions.columns if not is_annotation(c)]]
    id_column = predictions.columns[0]
    if list(predictions.columns[1:]) == ["prediction"]:
        predictions = predictions.rename(
            columns={"prediction": experiment.main_task.label_columns[0]}
        )
    header = list(labels.columns)
    labels = rename_columns(labels, rename or {}, labels_path)
    names_before = list(labels.columns)
    labels = match_label_columns(labels, list(predictions.columns), experiment.data, labels_path)
    name_pairs = zip(names_before, labels.columns, strict=True)
    renamed = {old: new for old, new in name_pairs if old != new}
    labels, label_notes = expand_label_cells(labels, experiment, labels_path)
    predictions = _expand_predicted_tags(predictions, experiment, predictions_path)
    if without_ids or (not experiment.data.id and id_column not in labels.columns):
        labels = labels.assign(**{id_column: [str(number) for number in range(len(labels))]})
    if id_column not in labels.columns or not set(predictions.columns[1:]) & set(labels.columns):
        raise InputError(
            f"{labels_path} shares no label column with {predictions_path} "
            f"(predicted: {', '.join(predictions.columns[1:])})"
        )
    check_prediction_ids(labels[id_column], predictions[id_column], labels_path, predictions_path)
    predictions = predictions.set_index(id_column, drop=False).loc[labels[id_column]]
    return LabeledPredictions(
        labels_path, predictions_path, labels, predictions, header, renamed, label_notes
    )


def check_prediction_ids(
    label_ids: pd.Series, prediction_ids: pd.Series, labels_path: str, predictions_path: str
) -> None:
    """Refuse predictions that lack a labeled row; further predictions do not matter.

    Raises:
        InputError: with how many are missing, or an id that is there twice.
    """
    check_unique_ids(label_ids, labels_path)
    check_unique_ids(prediction_ids, predictions_path)
    # Competitions have released labeled test files other than the one that was to be predicted.
    advice = f"if it has texts, predict it: inference.py --input {labels_path} --output F"
    check_ids_present(label_ids, prediction_ids, labels_path, predictions_path, advice)


def rename_columns(frame: pd.DataFrame, rename: dict[str, str], path: str) -> pd.DataFrame:
    """The frame with columns under other names, the file's name to the new one.

    Raises:
        InputError: no such column, or there already is one of the new name.
    """
    for old, new in rename.items():
        if old not in frame.columns:
            columns = list(frame.columns)
            raise InputError(f"{path} has no column {old!r} to rename{nearest(old, columns)}")
        if new in frame.columns:
            raise InputError(f"{path} has a column {new!r} besides {old!r}, which is renamed to it")
    return frame.rename(columns=rename)


def match_label_columns(
    labels: pd.DataFrame, predicted: list[str], data: Data, path: str
) -> pd.DataFrame:
    """The labels under the names of the predicted columns, where these are called otherwise.

    The other names are those that a competition released labels under, and those of the training
    files in ``[[data.train]]``.

    Raises:
        InputError: a column may stand for two predicted ones.
    """
    known_names = [(released, trained) for trained, released in RELEASED_NAMES.items()]
    known_names += [names for source in data.sources for names in source.rename.items()]
    rename: dict[str, str] = {}
    for released, trained in known_names:
        if released not in labels.columns or trained in labels.columns or trained not in predicted:
            continue
        if rename.setdefault(released, trained) != trained:
            raise InputError(
                f"{path}: column {released!r} may stand for {rename[released]} or {trained}; give "
                f"predictions of one of them (inference.py --task)"
            )
    return labels.rename(columns=rename)


def _expand_predicted_tags(
    predictions: pd.DataFrame, experiment: Experiment, path: str
) -> pd.DataFrame:
    """Predicted cells of tags as 1 and 0, where the file has no number for each tag."""
    for task in experiment.tasks:
        if isinstance(task, TagsSettings) and not {*task.label_columns} & {*predictions.columns}:
            task = task.model_copy(update={"empty": "no_tags"})
            predictions, _ = expand_tags(predictions, task, path)
    return predictions


def expand_label_cells(
    labels: pd.DataFrame, experiment: Experiment, path: str
) -> tuple[pd.DataFrame, list[str]]:
    """The labels with a column per list entry, key of an object or tag that the experiment reads.

    Returns:
        The labels, and notes on tags that were left out.

    Raises:
        InputError: a cell of another form, or an unknown tag.
    """
    columns = experiment.file_columns
    labels = expand_objects(labels, match_object_keys(columns, labels.columns), path)
    labels, notes = expand_lists(labels, match_list_entries(columns, labels.columns), path), []
    for task in experiment.tasks:
        if isinstance(task, TagsSettings):
            labels, left_out = expand_tags(labels, task, path)
            notes += left_out
    return labels, notes


def parse_released_labels(task: Task, column: str, labels: pd.DataFrame, path: str) -> np.ndarray:
    """The labels of one target, NaN where empty or not scored.

    Args:
        task: of the target's kind.
        column: the target, one of the label file's columns except where a label is shares.
        labels: the label file.
        path: where it is from.

    Returns:
        ``(rows,)``, or ``(rows, classes)`` shares.

    Raises:
        InputError: a label that the task cannot have, or a missing column of shares.
    """
    settings = task.for_column(column).settings
    missing = [name for name in settings.file_columns if name not in labels.columns]
    if missing and len(settings.file_columns) > 1:
        raise InputError(f"{path} has no column {missing[0]!r}, a share of {column!r}")
    if not task.has_positive_class:
        return task.column_labels(parse_labels(labels, settings, path).values, 0)
    cells = labels[column]
    is_scored = pd.to_numeric(cells, errors="coerce") != -1  # Kaggle's mark of other rows
    values = parse_labels(cells.where(is_scored, "").to_frame(), settings, path).values[:, 0]
    if isinstance(settings, BinarySettings):
        check_positive_words([labels], settings, path)
    wrong = np.flatnonzero((values < 0) | (values > 1))
    if len(wrong):
        expected = "labels lie in [0, 1], or are -1 where a row was not scored"
        raise refuse_cell(path, column, wrong[0], values[wrong[0]], expected)
    return values
