"""Multi-class tasks: one softmax over named classes."""

from __future__ import annotations

import numpy as np

from auxfold.config import MulticlassSettings
from auxfold.errors import InputError
from auxfold.tasks.losses import CrossEntropy
from auxfold.tasks.metrics import MULTICLASS_METRICS
from auxfold.tasks.task import EPS, Task


class MulticlassTask(Task):
    """Cross-entropy over the classes of one column; labels are class numbers from 0."""

    settings: MulticlassSettings
    kind = "multiclass"
    default_metric = "accuracy"
    headline = ("accuracy", "f1", "log_loss")
    metrics = MULTICLASS_METRICS
    has_mean_over_tasks = True
    calibration_methods = ("temperature",)
    averages = ("probability", "logit", "power")

    def __init__(self, settings: MulticlassSettings) -> None:
        super().__init__(settings)
        self.loss = CrossEntropy(settings)

    @property
    def n_outputs(self) -> int:
        return len(self.settings.class_names)

    @property
    def class_names(self) -> list[str]:
        return self.settings.class_names

    def check_labels(self, labels: np.ndarray, path: str) -> None:
        present = np.unique(labels[~np.isnan(labels)])
        if len(present) < 2:
            raise InputError(
                f"{path}: column {self.settings.label_columns[0]!r} needs rows of at least two "
                f"classes, found {len(present)}; remove the task"
            )

    def stratification_flags(self, labels: np.ndarray) -> np.ndarray:
        flags = (labels == np.arange(self.n_outputs)).astype(np.float32)
        return np.where(np.isnan(labels), np.nan, flags)

    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        known = labels[~np.isnan(labels)].astype(int)
        counts = np.bincount(known, minlength=self.n_outputs)
        # A class without a row in this fold starts rare, not impossible.
        return np.log(np.maximum(counts, 0.5) / max(len(known), 1)).astype(np.float32)

    def activate(self, logits: np.ndarray) -> np.ndarray:
        powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def to_logits(self, predictions: np.ndarray) -> np.ndarray:
        """The logarithms, which are logits up to a constant per row."""
        return np.log(np.maximum(predictions.astype(np.float64), EPS))

    def normalize(self, predictions: np.ndarray) -> np.ndarray:
        """The probabilities of each row, divided by their sum."""
        return predictions / predictions.sum(axis=1, keepdims=True)

    def output_slice(self, position: int) -> slice:
        return slice(0, self.n_outputs)

    def column_predictions(self, predictions: np.ndarray, position: int) -> np.ndarray:
        return predictions

    def to_columns(self, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """The likeliest class by name, then every class's probability."""
        names = np.array(self.class_names, dtype=object)
        return {
            self.settings.label_columns[0]: names[predictions.argmax(axis=1)],
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
        of_true_class = predictions[np.arange(len(labels)), known]
        return np.where(np.isnan(labels[:, 0]), np.nan, 1.0 - of_true_class)

    def calibration_pairs(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        is_right = np.where(np.isnan(labels), np.nan, predictions.argmax(axis=1) == labels)
        return is_right, predictions.max(axis=1)

    def format_examples(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> tuple[list[str], list[str]]:
        names = self.class_names
        true = ["" if np.isnan(value) else names[int(value)] for value in labels[:, 0]]
        likeliest = predictions.argmax(axis=1)
        share = predictions[np.arange(len(labels)), likeliest]
        return true, [f"{names[c]} {s:.2f}" for c, s in zip(likeliest, share, strict=True)]
