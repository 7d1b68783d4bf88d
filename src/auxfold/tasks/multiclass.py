"""Multi-class tasks: one softmax over named classes."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from auxfold.config import MulticlassSettings
from auxfold.errors import InputError
from auxfold.tasks.metrics import MULTICLASS_METRICS
from auxfold.tasks.task import Task


class MulticlassTask(Task):
    """Cross-entropy over the classes of one column; labels are class numbers from 0."""

    settings: MulticlassSettings
    default_metric = "accuracy"
    headline = ("accuracy", "f1", "log_loss")
    metrics = MULTICLASS_METRICS
    has_mean_over_tasks = True

    @property
    def n_outputs(self) -> int:
        return len(self.settings.class_names)

    def check_labels(self, labels: np.ndarray, path: str) -> None:
        there = np.unique(labels[~np.isnan(labels)])
        if len(there) < 2:
            raise InputError(
                f"{path}: column {self.settings.columns[0]!r} needs rows of at least two classes, "
                f"found {len(there)}; remove the task"
            )

    def strata(self, labels: np.ndarray) -> np.ndarray:
        flags = (labels == np.arange(self.n_outputs)).astype(np.float32)
        return np.where(np.isnan(labels), np.nan, flags)

    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        known = labels[~np.isnan(labels)].astype(int)
        counts = np.bincount(known, minlength=self.n_outputs)
        # A class without a row in this fold starts rare, not impossible.
        return np.log(np.maximum(counts, 0.5) / max(len(known), 1)).astype(np.float32)

    def cell_losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        smoothing = self.settings.label_smoothing
        losses = cross_entropy(
            logits, labels[:, 0].long(), reduction="none", label_smoothing=smoothing
        )
        return losses[:, None]

    def activate(self, logits: np.ndarray) -> np.ndarray:
        powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def column_predictions(self, predictions: np.ndarray, position: int) -> np.ndarray:
        return predictions

    def to_columns(self, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """The likeliest class by name, then every class's probability."""
        names = np.array(self.settings.class_names, dtype=object)
        return {
            self.settings.columns[0]: names[predictions.argmax(axis=1)],
            **super().to_columns(predictions),
        }

    def label_summary(self, labels: np.ndarray) -> dict[str, str]:
        numbers = range(self.n_outputs)
        return {
            column: f"{int((labels == number).sum()):,}"
            for column, number in zip(self.prediction_columns, numbers, strict=True)
        }

    def errors(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        known = np.nan_to_num(labels[:, 0], nan=0.0).astype(int)
        right = predictions[np.arange(len(labels)), known]
        return np.where(np.isnan(labels[:, 0]), np.nan, 1.0 - right)

    def format_examples(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> tuple[list[str], list[str]]:
        names = self.settings.class_names
        right = ["" if np.isnan(value) else names[int(value)] for value in labels[:, 0]]
        best = predictions.argmax(axis=1)
        share = predictions[np.arange(len(labels)), best]
        return right, [f"{names[b]} {s:.2f}" for b, s in zip(best, share, strict=True)]
