"""What a task owes the pipeline. A new kind of task is one file that subclasses :class:`Task`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from auxfold.config import TaskSettings
from auxfold.errors import InputError
from auxfold.tasks.metrics import Metric, mean_defined


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of every column of a standardised task, in the columns' own units."""

    mean: list[float]
    std: list[float]

    def tensors(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """``(columns,)`` float32 mean and deviation."""
        return torch.tensor(self.mean, device=device), torch.tensor(self.std, device=device)


class Task(ABC):
    """One head: which label columns it reads, what its loss is and what it predicts.

    Shapes: ``labels`` are ``(rows, len(settings.columns))`` with NaN where not labelled;
    ``logits`` and ``predictions`` are ``(rows, n_outputs)``. Only in training the head gives
    ``(rows, head_width)``, where that is another width.

    Attributes:
        default_metric: selects checkpoints when the experiment names none.
        headline: the metrics that a line on the console has room for.
        metrics: metric name to a function of one column's labels and its predictions.
        has_mean_over_tasks: whether several tasks of this kind also have the means of their
            metrics over the tasks.
        scale: what the head's outputs are multiplied by and moved to, learnt by :meth:`fit`.
        bins: classes per column, where the head learns such; at inference the model then gives
            the logit of their expectation.
        bias_loss_power: of a loss that has the shape of the bias metric; None: a sum over cells.
    """

    default_metric: ClassVar[str]
    headline: ClassVar[tuple[str, ...]]
    metrics: ClassVar[dict[str, Metric]]
    has_mean_over_tasks: ClassVar[bool] = False
    scale: Scale | None = None
    bins: int | None = None
    bias_loss_power: float | None = None

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.name = settings.name

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Logits and predictions of a row."""

    @property
    def head_width(self) -> int:
        """Outputs of the head in training."""
        return self.n_outputs * (self.bins or 1)

    @property
    def prediction_columns(self) -> list[str]:
        """Names of the predicted columns, ``(n_outputs,)``."""
        return self.settings.prediction_columns

    @abstractmethod
    def check_labels(self, labels: np.ndarray, path: str) -> None:
        """Refuse labels that together cannot be trained on.

        Raises:
            InputError: naming file and column.
        """

    def check_cells(self, labels: np.ndarray, path: str) -> None:  # noqa: B027, numbers suffice
        """Refuse a label of one file that cannot be one.

        Raises:
            InputError: naming file, column and row.
        """

    @abstractmethod
    def strata(self, labels: np.ndarray) -> np.ndarray:
        """``(rows, flags)`` numbers whose ``>= 0.5`` folds spread evenly; NaN: not labelled."""

    @abstractmethod
    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        """``(head_width,)`` biases at which an untrained head predicts the labels' rates."""

    @abstractmethod
    def cell_losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Unreduced loss of every cell, the shape of ``labels``; ``labels`` holds no NaN here.

        ``logits`` are ``(rows, head_width)``.
        """

    @abstractmethod
    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Logits to predictions, ``(rows, n_outputs)``."""

    @abstractmethod
    def label_summary(self, labels: np.ndarray) -> dict[str, str]:
        """What a person compares between folds, by column heading."""

    @abstractmethod
    def errors(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        """``(rows,)`` how far the first column's prediction is off; NaN where not labelled."""

    def fit(self, labels: np.ndarray) -> None:  # noqa: B027, most kinds have nothing to learn
        """Learn from a fold's training rows what the loss needs."""

    def column_predictions(self, predictions: np.ndarray, position: int) -> np.ndarray:
        """The part of the predictions that a metric of the column at ``position`` looks at."""
        return predictions[:, position]

    def to_columns(self, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Column name to values ``(rows,)``, as they stand in a prediction file."""
        return {c: predictions[:, i] for i, c in enumerate(self.prediction_columns)}

    def format_examples(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> tuple[Sequence, Sequence]:
        """Labels and predictions of the first column, numbers or what a person reads."""
        return labels[:, 0], predictions[:, 0]

    def compute_metrics(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> dict[str, float | None]:
        """Every metric: the mean over columns, and ``<metric>/<column>`` where there are several.

        The mean is over the columns on which the metric is defined; None if there is none.
        """
        columns = self.settings.columns
        means: dict[str, float | None] = {}
        single: dict[str, float | None] = {}
        for name, function in self.metrics.items():
            values = [
                function(labels[:, i], self.column_predictions(predictions, i))
                for i in range(len(columns))
            ]
            means[name] = mean_defined(values)
            if len(columns) > 1:
                single |= {f"{name}/{c}": v for c, v in zip(columns, values, strict=True)}
        return means | single


def refuse_cell(path: str, column: str, row: int, value: float, expected: str) -> InputError:
    """The error for one unusable label."""
    return InputError(f"{path}: column {column!r}, row {row + 1}: label {value:g}; {expected}")
