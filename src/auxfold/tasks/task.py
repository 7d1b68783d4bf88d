"""What a task owes the pipeline. A new kind of task is one file that subclasses :class:`Task`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch

from auxfold.errors import InputError
from auxfold.experiment import Task as TaskSettings


class Task(ABC):
    """One head: which label columns it reads, what its loss is and what it predicts.

    Shapes: ``labels`` are ``(rows, len(settings.columns))`` with NaN where not labelled;
    ``logits`` are ``(rows, n_outputs)``.
    """

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.name = settings.name

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Width of the head."""

    @property
    @abstractmethod
    def prediction_columns(self) -> list[str]:
        """Names of the predicted columns, ``(n_outputs,)``."""

    @property
    @abstractmethod
    def default_metric(self) -> str:
        """The metric that selects checkpoints when the experiment names none."""

    @abstractmethod
    def check_labels(self, labels: np.ndarray, path: str) -> None:
        """Refuse labels that cannot be trained on.

        Raises:
            InputError: naming file, column and row.
        """

    @abstractmethod
    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        """``(n_outputs,)`` biases at which an untrained head predicts the labels' rates."""

    @abstractmethod
    def cell_losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Unreduced loss of every cell, the shape of ``labels``; ``labels`` holds no NaN here."""

    @abstractmethod
    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Logits to predictions, ``(rows, n_outputs)``."""

    @abstractmethod
    def metrics(self, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float | None]:
        """Metric name to value over the labelled cells; None where a metric is undefined."""


def refuse_cell(path: str, column: str, row: int, value: float, expected: str) -> InputError:
    """The error for one unusable label."""
    return InputError(f"{path}: column {column!r}, row {row + 1}: label {value:g}; {expected}")
