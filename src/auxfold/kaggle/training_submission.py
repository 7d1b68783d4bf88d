"""The submission of a training kernel, which is complete from its first minute on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.loading import read_prediction_table
from auxfold.data.table import Table
from auxfold.inference.ensemble import average_folds, prediction_average
from auxfold.inference.postprocess import Postprocess
from auxfold.inference.submission import SampleSubmission
from auxfold.kaggle.kernel import sample_tasks, write_submission
from auxfold.postprocessing.averaging import check_average
from auxfold.tasks import TaskSet
from auxfold.tasks.class_task import ClassTask


class TrainingSubmission:
    """Writes the submission again whenever another fold has predicted.

    Args:
        experiment: what is trained, with the paths of this machine.
        path: the file of the submission.

    Attributes:
        tasks: the tasks to predict: those whose columns the sample submission has.
        test: the rows to predict.

    Raises:
        InputError: the test file or the sample submission cannot be read, or do not belong
            together; the average does not suit a task.
    """

    def __init__(self, experiment: Experiment, path: Path) -> None:
        self.experiment, self.path = experiment, path
        sample = experiment.data.sample_submission
        self.sample = None if sample is None else Path(sample)
        every = TaskSet.from_experiment(experiment)
        names = sample_tasks(every, self.sample)
        self.tasks = every.subset(names or [every.main.name])
        self.test = read_prediction_table(experiment, str(experiment.data.test))
        check_average(prediction_average(experiment.inference.average), self.tasks, len(self.test))
        self._filled = None
        if sample is not None:
            self._filled = SampleSubmission.read(sample, self.test.ids, self.tasks, experiment)
        self._postprocess = Postprocess().with_decisions(
            self._filled, self.tasks, experiment.inference.average, {}
        )

    @property
    def note(self) -> str:
        """What a reader of the submission should know, or an empty string."""
        return self._postprocess.note

    def write_means(self, table: Table) -> pd.DataFrame:
        """Write what is known before any training: every row has the mean of the labels.

        Args:
            table: the training table.
        """
        means = {}
        for task, columns in TaskSet.from_experiment(self.experiment).items():
            if task.name in self.tasks.names:
                labels = table.labels[:, columns]
                shares = task.class_shares(labels) if isinstance(task, ClassTask) else labels
                mean = np.nanmean(shares, axis=0, keepdims=True)
                means[task.name] = np.repeat(mean, len(self.test), axis=0)
        return self._write(means)

    def write_folds(self, fold_logits: Iterable[dict[str, np.ndarray]]) -> pd.DataFrame:
        """Write the average of folds.

        Args:
            fold_logits: for every fold, task name to logits ``(rows, n_outputs)``.
        """
        settings = self.experiment.inference
        return self._write(average_folds(fold_logits, self.tasks, settings.average, settings.power))

    def _write(self, predictions: dict[str, np.ndarray]) -> pd.DataFrame:
        values = self._postprocess.apply(self.tasks, predictions)
        id_column = self.experiment.data.id_column
        frame = self.tasks.prediction_frame(id_column, self.test.ids, values)
        frame = self._filled.fill(frame) if self._filled else frame
        write_submission(frame, self.sample, self.path)
        return frame
