"""What tasks of several classes have in common: shares, class weights, probabilities."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch

from auxfold.config import BALANCED, SQRT_BALANCED, ClassSettings
from auxfold.errors import InputError
from auxfold.tasks.constants import constant
from auxfold.tasks.losses import CrossEntropy
from auxfold.tasks.metrics import class_numbers
from auxfold.tasks.task import EPS, Task


class ClassTask(Task):
    """One probability per class; labels are class numbers from 0, or one share per class.

    Attributes:
        class_weight: the weights of the classes in the loss, ``(classes,)``; None: all are 1. With
            ``balanced`` and ``sqrt_balanced`` they are learned by :meth:`fit`.
    """

    settings: ClassSettings
    loss: CrossEntropy
    calibration_methods = ("temperature",)
    averages = ("probability", "logit", "power")

    def __init__(self, settings: ClassSettings) -> None:
        super().__init__(settings)
        self.class_weight = _fixed_weights(settings)

    @property
    def n_outputs(self) -> int:
        return len(self.settings.class_names)

    @property
    def class_names(self) -> list[str]:
        return self.settings.class_names

    def for_column(self, column: str) -> Self:
        """The same task, not fitted: its classes are one target."""
        return type(self)(self.settings.model_copy(update={"label_weights": None}))

    # ---- labels

    def check_labels(self, labels: np.ndarray, path: str) -> None:
        numbers = class_numbers(self.column_labels(labels, 0))
        present = np.unique(numbers[~np.isnan(numbers)])
        if len(present) < 2:
            raise InputError(
                f"{path}: column {self.settings.targets[0]!r} needs rows of at least two "
                f"classes, found {len(present)}; remove the task"
            )

    def column_labels(self, labels: np.ndarray, position: int) -> np.ndarray:
        return labels if self.settings.has_shares else labels[:, position]

    def is_labeled(self, labels: np.ndarray) -> np.ndarray:
        return ~np.isnan(labels).any(axis=1, keepdims=True)

    def class_shares(self, labels: np.ndarray) -> np.ndarray:
        """``(rows, classes)`` shares that sum to 1, NaN where not labeled."""
        if self.settings.has_shares:
            return labels
        shares = (labels == np.arange(self.n_outputs)).astype(np.float32)
        return np.where(np.isnan(labels), np.nan, shares)

    def stratification_flags(self, labels: np.ndarray) -> np.ndarray:
        numbers = class_numbers(self.column_labels(labels, 0))[:, None]
        flags = (numbers == np.arange(self.n_outputs)).astype(np.float32)
        return np.where(np.isnan(numbers), np.nan, flags)

    def label_summary(self, labels: np.ndarray) -> dict[str, str]:
        numbers = class_numbers(self.column_labels(labels, 0))
        columns = enumerate(self.prediction_columns)
        return {column: f"{int((numbers == number).sum()):,}" for number, column in columns}

    # ---- training

    def fit(self, labels: np.ndarray) -> Self:
        if self.settings.class_weight in (BALANCED, SQRT_BALANCED):
            counts = np.nansum(self.class_shares(labels), axis=0, dtype=np.float64)
            present = counts > 0
            # As in scikit-learn: rows / (classes · rows of the class), of the classes with rows.
            balanced = counts.sum() / (present.sum() * np.where(present, counts, 1.0))
            weights = np.where(present, balanced, 1.0)
            is_sqrt = self.settings.class_weight == SQRT_BALANCED
            self.class_weight = (np.sqrt(weights) if is_sqrt else weights).astype(np.float32)
        return self

    def state_dict(self) -> dict[str, Any]:
        weights = {} if self.class_weight is None else {"class_weight": self.class_weight.tolist()}
        return super().state_dict() | weights

    def load_state_dict(self, state: dict[str, Any]) -> Self:
        if "class_weight" in state:
            self.class_weight = np.asarray(state["class_weight"], dtype=np.float32)
        return super().load_state_dict(state)

    def class_rates(self, labels: np.ndarray) -> np.ndarray:
        """``(classes,)`` shares of the classes in the loss: of the labels, times class weights."""
        counts = np.nansum(self.class_shares(labels), axis=0, dtype=np.float64)
        # A class without a row in this fold starts rare, not impossible.
        rates = np.maximum(counts, 0.5) / max(counts.sum(), 1)
        if self.class_weight is None:
            return rates
        return rates * self.class_weight / (rates * self.class_weight).sum()

    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        return np.log(self.class_rates(labels)).astype(np.float32)

    def cell_weights(self, labels: np.ndarray) -> np.ndarray | None:
        if self.class_weight is None:
            return None
        return (np.nan_to_num(self.class_shares(labels)) @ self.class_weight)[:, None]

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        weights = None
        if self.class_weight is not None:
            weights = constant(self.class_weight, logits.device)
        return self.loss.cell_losses(logits, labels, class_weight=weights)

    # ---- predictions

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
            self.settings.targets[0]: names[predictions.argmax(axis=1)],
            **super().to_columns(predictions),
        }

    def errors(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        """``(rows,)`` one minus the probability of the true class, or of the shares on average."""
        return 1.0 - (self.class_shares(labels) * predictions).sum(axis=1)

    def calibration_pairs(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        numbers = class_numbers(labels)
        is_right = np.where(np.isnan(numbers), np.nan, predictions.argmax(axis=1) == numbers)
        return is_right, predictions.max(axis=1)

    def format_examples(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> tuple[list[str], list[str]]:
        names = self.class_names
        numbers = class_numbers(self.column_labels(labels, 0))
        true = ["" if np.isnan(value) else names[int(value)] for value in numbers]
        likeliest = predictions.argmax(axis=1)
        share = predictions[np.arange(len(labels)), likeliest]
        return true, [f"{names[c]} {s:.2f}" for c, s in zip(likeliest, share, strict=True)]


def _fixed_weights(settings: ClassSettings) -> np.ndarray | None:
    """``(classes,)`` weights that the settings hold as numbers."""
    weights = settings.class_weight
    if isinstance(weights, dict):
        weights = [weights.get(name, 1.0) for name in settings.class_names]
    return np.asarray(weights, dtype=np.float32) if isinstance(weights, list) else None
