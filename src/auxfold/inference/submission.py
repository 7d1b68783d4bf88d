"""A prediction table in the shape that a competition accepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.config import MulticlassSettings
from auxfold.data.files import read_columns
from auxfold.errors import InputError
from auxfold.tasks import Task


@dataclass(frozen=True)
class SampleSubmission:
    """A competition's sample submission, checked against what will be predicted.

    Attributes:
        frame: the file as it is, every value a string.
        columns: which predicted column fills each of its columns after the id.
    """

    frame: pd.DataFrame
    columns: list[str]

    @classmethod
    def read(cls, path: str, ids: np.ndarray, tasks: list[Task]) -> SampleSubmission:
        """Read and check, before anything is computed.

        Args:
            path: the sample submission.
            ids: the ids of the rows to predict.
            tasks: what will be predicted. A column called like a class asks for its probability.

        Raises:
            InputError: ids that differ, or columns that cannot be matched.
        """
        frame = read_columns(path)
        id_column, *wanted = frame.columns
        if frame[id_column].duplicated().any():
            raise InputError(f"{path}: an id stands in more than one row")
        _same_ids(set(ids), set(frame[id_column]), path)
        return cls(frame, check_columns(path, wanted, tasks))

    def fill(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """The predictions under the sample's ids and column names, in its order.

        Raises:
            InputError: a prediction is NaN.
        """
        id_column, *wanted = self.frame.columns
        by_id = predictions.set_index(predictions.columns[0])[self.columns]
        aligned = by_id.loc[self.frame[id_column]].set_axis(wanted, axis=1)
        if aligned.isna().any().any():
            raise InputError("a prediction is NaN; the submission was not written")
        return aligned.rename_axis(id_column).reset_index()


def check_columns(path: str, wanted: list[str], tasks: list[Task]) -> list[str]:
    """Which predicted column fills each column of a sample submission.

    Raises:
        InputError: nothing that is predicted fills a column.
    """
    asked_for = columns_asked_for(tasks)
    predicted = list(dict.fromkeys(asked_for.values()))
    if len(wanted) == len(predicted) == 1:
        return predicted  # "prediction" or whatever the competition calls it
    missing = [column for column in wanted if column not in asked_for]
    if missing:
        raise InputError(
            f"{path} wants column {missing[0]!r} ({len(wanted)} in all), predicted are "
            f"{', '.join(predicted)}; --all-tasks predicts every task's columns; a blend those "
            f"its metric looks at: blend.py --metric <task>/auc one task's, auc all binary ones"
        )
    return [asked_for[column] for column in wanted]


def columns_asked_for(tasks: list[Task]) -> dict[str, str]:
    """A sample submission's column to the predicted column that fills it."""
    made: dict[str, str] = {}
    for task in tasks:
        if isinstance(task.settings, MulticlassSettings):
            made |= dict(zip(task.settings.class_names, task.prediction_columns, strict=True))
    for task in tasks:  # a predicted column's own name comes before a class's
        made |= {name: name for name in (*task.settings.columns, *task.prediction_columns)}
    return made


def _same_ids(ours: set[str], theirs: set[str], sample_path: str) -> None:
    if ours == theirs:
        return
    lacking, extra = sorted(theirs - ours), sorted(ours - theirs)
    example = f"{lacking[0]!r} is not predicted" if lacking else f"{extra[0]!r} is not in it"
    raise InputError(
        f"the test file's ids are not those of {sample_path}: {len(lacking)} missing, "
        f"{len(extra)} too many (e.g. {example}); check data.test and data.sample_submission"
    )
