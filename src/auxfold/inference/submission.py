"""Predictions in the form of a competition's sample submission."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.data.files import read_columns
from auxfold.data.ids import check_same_ids, check_unique_ids
from auxfold.errors import InputError
from auxfold.tasks import Task


@dataclass(frozen=True)
class SampleSubmission:
    """A competition's sample submission, checked against what will be predicted.

    Attributes:
        frame: the file, with every value as a string.
        columns: the predicted column for each of its columns after the id.
    """

    frame: pd.DataFrame
    columns: list[str]

    @classmethod
    def read(cls, path: str, ids: np.ndarray, tasks: Iterable[Task]) -> SampleSubmission:
        """Read the file and check it, before anything is computed.

        Args:
            path: the sample submission.
            ids: the ids of the rows to predict.
            tasks: the tasks to predict. A column with the name of a class gets its probability.

        Raises:
            InputError: the ids differ, or a column cannot be filled.
        """
        frame = read_columns(path)
        id_column, *columns = frame.columns
        check_unique_ids(frame[id_column], path)
        advice = "check data.test and data.sample_submission"
        check_same_ids(frame[id_column], ids, path, "the test file", advice)
        return cls(frame, match_columns(path, columns, tasks))

    def fill(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """The predictions with the sample's ids and column names, in its order of rows.

        Args:
            predictions: the id column, then one column per predicted label.

        Raises:
            InputError: a prediction is NaN.
        """
        id_column, *columns = self.frame.columns
        by_id = predictions.set_index(predictions.columns[0])[self.columns]
        aligned = by_id.loc[self.frame[id_column]].set_axis(columns, axis=1)
        if aligned.isna().any().any():
            raise InputError("a prediction is NaN; the submission was not written")
        return aligned.rename_axis(id_column).reset_index()


def match_columns(path: str, columns: list[str], tasks: Iterable[Task]) -> list[str]:
    """The predicted column for each column of a sample submission.

    Args:
        path: the sample submission, for the message.
        columns: its columns after the id.
        tasks: the tasks to predict.

    Raises:
        InputError: no predicted column fills one of them.
    """
    sources = map_submission_columns(tasks)
    predicted = list(dict.fromkeys(sources.values()))
    if len(columns) == len(predicted) == 1:
        return predicted  # "prediction", or any other name that the competition uses
    missing = [column for column in columns if column not in sources]
    if missing:
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
        if task.class_names is not None:
            sources |= dict(zip(task.class_names, task.prediction_columns, strict=True))
    for task in tasks:  # the name of a predicted column precedes that of a class
        sources |= {name: name for name in (*task.settings.label_columns, *task.prediction_columns)}
    return sources
