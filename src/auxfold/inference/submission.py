"""Predictions in the form of a competition's sample submission."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.files import read_columns
from auxfold.data.ids import check_same_ids, check_unique_ids
from auxfold.errors import InputError
from auxfold.tasks import Task
from auxfold.tasks.metrics import metric_name

# Metrics of binary decisions. A competition with another metric takes probabilities.
DECISION_METRICS = ("f1", "accuracy", "balanced_accuracy", "mcc", "kappa")


@dataclass(frozen=True)
class SampleSubmission:
    """A competition's sample submission, checked against what will be predicted.

    Attributes:
        path: the file.
        frame: the file, with every value as a string.
        columns: the column of the predictions for each of its columns after the id.
        has_decisions: whether the binary columns shall hold 1 or 0 instead of probabilities.
        class_numbers: columns of the file that hold numbers of classes, and the names of these
            classes. Elsewhere a class is written by its name.
    """

    path: str
    frame: pd.DataFrame
    columns: list[str]
    has_decisions: bool
    class_numbers: dict[str, list[str]]

    @classmethod
    def read(
        cls, path: str, ids: np.ndarray, tasks: Iterable[Task], experiment: Experiment
    ) -> SampleSubmission:
        """Read the file and check it, before anything is computed.

        Args:
            path: the sample submission.
            ids: the ids of the rows to predict.
            tasks: the tasks to predict. A column with the name of a class gets its probability.
            experiment: its ``inference.submission`` and ``selection.metric`` say what a binary
                column holds where the file does not.

        Raises:
            InputError: the ids differ, there is no column after the ids, or a column cannot be
                filled.
        """
        frame, tasks = read_columns(path), list(tasks)
        id_column, *columns = frame.columns
        check_unique_ids(frame[id_column], path)
        advice = "check data.test and data.sample_submission"
        check_same_ids(frame[id_column], ids, path, "the test file", advice)
        sources = dict(zip(columns, match_columns(path, columns, tasks), strict=True))
        has_decisions = _has_decisions(frame, sources, tasks)
        setting = experiment.inference.submission
        if setting != "auto":
            has_decisions = setting == "decisions"
        elif has_decisions and _is_constant(frame[columns]):
            metric = experiment.selection.metric
            has_decisions = metric is None or metric_name(metric) in DECISION_METRICS
        numbers = _class_numbers(frame, sources, tasks)
        return cls(path, frame, list(sources.values()), has_decisions, numbers)

    def fill(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """The predictions with the sample's ids and column names, in its order of rows.

        Args:
            predictions: the id column, then the columns that the tasks predict.

        Raises:
            InputError: a prediction is NaN.
        """
        id_column, *columns = self.frame.columns
        by_id = predictions.set_index(predictions.columns[0])[self.columns]
        aligned = by_id.loc[self.frame[id_column]].set_axis(columns, axis=1)
        if aligned.isna().any().any():
            raise InputError("a prediction is NaN; the submission was not written")
        for column, names in self.class_numbers.items():
            number_by_name = {name: number for number, name in enumerate(names)}
            aligned[column] = aligned[column].map(number_by_name).astype(np.int64)
        return aligned.rename_axis(id_column).reset_index()


def match_columns(path: str, columns: list[str], tasks: Iterable[Task]) -> list[str]:
    """The column of the predictions for each column of a sample submission.

    A single column of any name is filled by the only predicted column: the probability of one
    label, one number, the likeliest class or the tags of a row.

    Args:
        path: the sample submission, for the message.
        columns: its columns after the id.
        tasks: the tasks to predict.

    Raises:
        InputError: there is no such column, or no predicted column fills one of them.
    """
    tasks = list(tasks)
    if not columns:
        raise InputError(
            f"{path} has only ids; expected a sample submission with at least one column to fill, "
            f"or no data.sample_submission at all"
        )
    sources = map_submission_columns(tasks)
    # The summary of several outputs, such as the likeliest class, else the only predicted column.
    single = [column for task in tasks for column in task.summary_columns]
    single = single or [column for task in tasks for column in task.prediction_columns]
    if len(columns) == 1 and columns[0] not in sources and len(single) == 1:
        return single  # "prediction", or any other name that the competition uses
    missing = [column for column in columns if column not in sources]
    if missing:
        predicted = list(dict.fromkeys(sources.values()))
        raise InputError(
            f"{path} has the column {missing[0]!r} ({len(columns)} in all), predicted are "
            f"{', '.join(predicted)}; --all-tasks predicts the columns of every task; a blend "
            f"predicts those of its metric: blend.py --metric <task>/auc for one task, --metric "
            f"auc for all binary ones"
        )
    return [sources[column] for column in columns]


def map_submission_columns(tasks: Iterable[Task]) -> dict[str, str]:
    """Possible column of a sample submission to the predicted column that fills it."""
    tasks = list(tasks)
    sources: dict[str, str] = {}
    for task in tasks:
        if task.short_names is not None:
            sources |= dict(zip(task.short_names, task.prediction_columns, strict=True))
    for task in tasks:  # the name of a predicted column precedes that of a class
        sources |= {name: name for name in (*task.summary_columns, *task.prediction_columns)}
    return sources


def _has_decisions(frame: pd.DataFrame, sources: dict[str, str], tasks: list[Task]) -> bool:
    """Whether every cell for a binary column is the integer 0 or 1, or a cell names tags."""
    binary = {c for task in tasks if task.has_positive_class for c in task.prediction_columns}
    tags = {c for task in tasks if task.has_positive_class for c in task.summary_columns}
    columns = [column for column, source in sources.items() if source in binary]
    has_tags = any(source in tags for source in sources.values())
    are_integers = bool(frame[columns].isin(["0", "1"]).all(axis=None))
    return has_tags or (bool(columns) and are_integers)


def _is_constant(frame: pd.DataFrame) -> bool:
    return len(np.unique(frame.to_numpy().astype(str))) == 1


def _class_numbers(
    frame: pd.DataFrame, sources: dict[str, str], tasks: list[Task]
) -> dict[str, list[str]]:
    """Columns in which the sample has numbers of classes that have other names."""
    names = {
        column: task.class_names
        for task in tasks
        if task.class_names is not None
        for column in task.summary_columns
    }
    numbers: dict[str, list[str]] = {}
    for column, source in sources.items():
        classes = names.get(source)
        if classes is None or frame[column].isin(classes).any():
            continue
        if frame[column].isin([str(number) for number in range(len(classes))]).all():
            numbers[column] = classes
    return numbers
