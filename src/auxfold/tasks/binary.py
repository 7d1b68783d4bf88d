"""Binary tasks: one sigmoid per column, hard or soft labels in [0, 1]."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from auxfold.errors import InputError
from auxfold.settings import BinarySettings
from auxfold.tasks.metrics import BINARY_METRICS
from auxfold.tasks.task import Task, refuse_cell


class BinaryTask(Task):
    """Sigmoid cross-entropy per column; soft labels are trained on as they are."""

    settings: BinarySettings
    default_metric = "auc"
    headline = ("auc", "ap", "log_loss")
    functions = BINARY_METRICS

    @property
    def n_outputs(self) -> int:
        return len(self.settings.columns)

    def check_cells(self, labels: np.ndarray, path: str) -> None:
        for position, column in enumerate(self.settings.columns):
            values = labels[:, position]
            wrong = np.flatnonzero((values < 0) | (values > 1))
            if len(wrong):
                raise refuse_cell(
                    path, column, wrong[0], values[wrong[0]], "a binary label lies in [0, 1]"
                )

    def check_labels(self, labels: np.ndarray, path: str) -> None:
        for position, column in enumerate(self.settings.columns):
            values = labels[:, position]
            self._check_both_classes(values[~np.isnan(values)], column, path)

    def _check_both_classes(self, values: np.ndarray, column: str, path: str) -> None:
        if len(values) == 0:
            raise InputError(f"{path}: column {column!r} has no label at all; remove it")
        positive = int((values >= 0.5).sum())
        # Rare soft labels that all stay below 0.5 can be learnt, though not ranked or stratified.
        auxiliary = not self.settings.main and values.min() < values.max()
        if positive in (0, len(values)) and not auxiliary:
            side = ">= 0.5" if positive else "< 0.5"
            raise InputError(
                f"{path}: all {len(values)} labels of column {column!r} are {side}; "
                f"a binary column needs both classes, or has to leave tasks.{self.name}.columns"
            )

    def strata(self, labels: np.ndarray) -> np.ndarray:
        return labels

    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            counts = np.maximum((~np.isnan(labels)).sum(axis=0), 1)
            rates = np.nansum(labels, axis=0) / counts
        # Bounded away from 0 and 1: a fold may hold a single positive row, or none.
        rates = np.clip(rates, 0.5 / counts, 1 - 0.5 / counts)
        return np.log(rates / (1 - rates)).astype(np.float32)

    def cell_losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        smoothing = self.settings.label_smoothing
        labels = labels * (1 - smoothing) + 0.5 * smoothing
        return binary_cross_entropy_with_logits(logits, labels, reduction="none")

    def activate(self, logits: np.ndarray) -> np.ndarray:
        # tanh form: exact in both tails, no overflow.
        return 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))

    def balance(self, labels: np.ndarray) -> dict[str, str]:
        counts = np.nansum(labels >= 0.5, axis=0)
        pairs = zip(self.settings.columns, counts, strict=True)
        return {f"{column} ≥ 0.5": f"{int(n):,}" for column, n in pairs}

    def errors(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return np.abs(labels[:, 0] - predictions[:, 0])
