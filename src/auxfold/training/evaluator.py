"""Predictions and scores of the rows that a fold holds out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.dataset import TokenizedDataset
from auxfold.data.table import Table
from auxfold.evaluation.scores import Evaluation, describe_non_finite, evaluate_rows
from auxfold.inference.predict import predict_logits
from auxfold.model.backbone import runs_padding_free
from auxfold.model.multitask import MultiTaskModel
from auxfold.tasks import TaskSet


@dataclass(frozen=True)
class FoldEvaluator:
    """Predicts and scores the rows that a fold holds out.

    Attributes:
        indices: the rows of the table that are held out; none for ``full``.
        dataset: the tokens of the table's rows.
        amp_dtype: the number format of the forward pass: ``bf16``, ``fp16`` or ``fp32``.
    """

    experiment: Experiment
    tasks: TaskSet
    table: Table
    indices: np.ndarray
    dataset: TokenizedDataset
    amp_dtype: str

    def predict(self, model: MultiTaskModel) -> dict[str, np.ndarray]:
        """Task name to predictions ``(held-out rows, n_outputs)``."""
        logits = predict_logits(
            model,
            self.dataset,
            self.indices,
            tasks=self.tasks.names,
            max_tokens=self.experiment.inference.max_tokens_per_batch,
            amp_dtype=self.amp_dtype,
            packed=runs_padding_free(model, self.experiment.model, model.device.type),
        )
        return {task.name: task.activate(logits[task.name]) for task in self.tasks}

    def score(self, predictions: dict[str, np.ndarray]) -> Evaluation:
        """The metrics of predictions of the held-out rows."""
        names = self.experiment.identities.columns
        return evaluate_rows(self.tasks, self.table, self.indices, predictions, names)

    def describe_non_finite(self, evaluation: Evaluation) -> str | None:
        """A line about predictions of held-out rows that are not finite; None without any."""
        if not len(evaluation.non_finite):
            return None
        rows = describe_non_finite(self.table.ids[self.indices], evaluation.non_finite)
        return (
            f"{rows}, so no metric of the held-out rows is defined; in fp16 numbers overflow: "
            f"train.precision = 'bf16' or 'fp32' has room for them"
        )

    def out_of_fold_frame(
        self, fold: int | str, predictions: dict[str, np.ndarray]
    ) -> pd.DataFrame:
        """Ids, fold, predictions and labels of the held-out rows."""
        ids, labels = self.table.ids[self.indices], self.table.labels[self.indices]
        folds, id_column = np.full(len(ids), fold), self.experiment.data.id_column
        return self.tasks.out_of_fold_frame(id_column, ids, folds, predictions, labels)
