"""Binary tasks: one probability per column, hard or soft labels in [0, 1]."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch

from auxfold.config import BALANCED, ProbabilitySettings
from auxfold.errors import InputError
from auxfold.tasks.constants import constant
from auxfold.tasks.losses import BINARY_LOSSES, BinaryCrossEntropy, positive_rates
from auxfold.tasks.metrics import BINARY_METRICS
from auxfold.tasks.task import EPS, Task, refuse_cell


class BinaryTask(Task):
    """A loss by name per column; soft labels are trained on as they are.

    Attributes:
        pos_weight: the weight of the positive part of a label, ``(columns,)`` or one number. With
            ``balanced`` it is learned by :meth:`fit`; None where a column of the file holds it.
    """

    settings: ProbabilitySettings
    loss: BinaryCrossEntropy
    kind = "binary"
    default_metric = "auc"
    headline = ("auc", "ap", "log_loss")
    metrics = BINARY_METRICS
    has_positive_class = True
    calibration_methods = ("temperature", "isotonic")
    averages = ("probability", "logit", "rank", "power")

    def __init__(self, settings: ProbabilitySettings) -> None:
        super().__init__(settings)
        self.loss = BINARY_LOSSES[settings.loss](settings)
        is_number = not isinstance(settings.pos_weight, str)
        self.pos_weight = np.asarray(settings.pos_weight, dtype=np.float32) if is_number else None

    @property
    def n_outputs(self) -> int:
        return len(self.settings.label_columns)

    def check_cells(self, labels: np.ndarray, path: str) -> None:
        for position, column in enumerate(self.settings.label_columns):
            values = labels[:, position]
            wrong = np.flatnonzero((values < 0) | (values > 1))
            if len(wrong):
                value = values[wrong[0]]
                expected = "a binary label lies in [0, 1]"
                if value == -1:
                    expected += "; -1 means 0 only where all labels of the column are -1 or 1"
                raise refuse_cell(path, column, wrong[0], value, expected)

    def check_labels(self, labels: np.ndarray, path: str) -> None:
        for position, column in enumerate(self.settings.label_columns):
            values = labels[:, position]
            self._check_both_classes(values[~np.isnan(values)], column, path)

    def _check_both_classes(self, values: np.ndarray, column: str, path: str) -> None:
        if len(values) == 0:
            raise InputError(f"{path}: column {column!r} has no label at all; remove it")
        positive = int((values >= 0.5).sum())
        # Rare soft labels that all stay below 0.5 can be learned, though not ranked or stratified.
        auxiliary = not self.settings.main and values.min() < values.max()
        if positive in (0, len(values)) and not auxiliary:
            side = ">= 0.5" if positive else "< 0.5"
            raise InputError(
                f"{path}: all {len(values)} labels of column {column!r} are {side}; "
                f"a binary column needs both classes, or has to leave tasks.{self.name}.columns"
            )

    def stratification_flags(self, labels: np.ndarray) -> np.ndarray:
        return labels

    def fit(self, labels: np.ndarray) -> Self:
        if self.settings.pos_weight == BALANCED:
            rates = positive_rates(labels)
            self.pos_weight = ((1 - rates) / rates).astype(np.float32)
        return self

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        if self.settings.pos_weight == BALANCED and self.pos_weight is not None:
            state["pos_weight"] = self.pos_weight.tolist()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> Self:
        if "pos_weight" in state:
            self.pos_weight = np.asarray(state["pos_weight"], dtype=np.float32)
        return super().load_state_dict(state)

    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        pos_weight = np.float32(1.0) if self.pos_weight is None else self.pos_weight
        return self.loss.initial_bias(labels, np.broadcast_to(pos_weight, labels.shape[1]))

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        if pos_weight is None and self.pos_weight is not None:
            pos_weight = constant(self.pos_weight, logits.device)
        return super().cell_losses(logits, labels, pos_weight)

    def activate(self, logits: np.ndarray) -> np.ndarray:
        # tanh form: exact in both tails, no overflow.
        return 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))

    def to_logits(self, predictions: np.ndarray) -> np.ndarray:
        inside = np.clip(predictions.astype(np.float64), EPS, 1 - EPS)
        return np.log(inside) - np.log1p(-inside)

    def label_summary(self, labels: np.ndarray) -> dict[str, str]:
        counts = np.nansum(labels >= 0.5, axis=0)
        pairs = zip(self.settings.label_columns, counts, strict=True)
        return {f"{column} ≥ 0.5": f"{int(n):,}" for column, n in pairs}

    def errors(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return np.abs(labels[:, 0] - predictions[:, 0])
