"""Predictions of the main task by every fold model, which show what the ensemble gains."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.inference.ensemble import Ensemble
from auxfold.storage.atomic import write_frame
from auxfold.storage.run_folder import FoldFolder, RunFolder


class FoldPredictions:
    """Collects each fold's predictions of the main task while an ensemble predicts.

    Args:
        ensemble: the folds.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.experiment, self.task = ensemble.experiment, ensemble.tasks.main
        self.tasks = ensemble.tasks.subset([self.task.name])
        self.by_fold: dict[str, np.ndarray] = {}

    def add(self, folder: FoldFolder, logits: dict[str, np.ndarray]) -> None:
        """Take one fold's logits by task name, where the main task is among them."""
        if self.task.name in logits:
            fold = folder.path.name.removeprefix("fold_")
            self.by_fold[fold] = self.task.activate(logits[self.task.name])

    def write_soup(self, ids: np.ndarray, predictions: dict[str, np.ndarray]) -> None:
        """Write the main task's predictions of a soup of the folds, where they are among these."""
        if self.task.name in predictions:
            id_column = self.experiment.data.id_column
            frame = self.tasks.prediction_frame(id_column, ids, predictions)
            write_frame(RunFolder.of(self.experiment).test_by_soup, frame)

    def write(self, ids: np.ndarray) -> None:
        """Write one table of all folds, with a column ``fold`` after the id."""
        if not self.by_fold:
            return
        frames = []
        for fold, predictions in self.by_fold.items():
            frame = self.tasks.prediction_frame(
                self.experiment.data.id_column, ids, {self.task.name: predictions}
            )
            frame.insert(1, "fold", fold)
            frames.append(frame)
        write_frame(RunFolder.of(self.experiment).test_by_fold, pd.concat(frames))
