"""Binary tasks: one probability per column, hard or soft labels in [0, 1].

Losses by name, each of one cell with label y and probability p:

- ``bce``: sigmoid cross-entropy, ``-(w·y·log p + (1 - y)·log(1 - p))``; w is ``pos_weight``.
- ``focal``: the same times ``|y - p| ** focal_gamma``: of hard labels the focal loss of Lin et al.
  2017, of soft ones that of Li et al. 2020 (*Generalized focal loss*), least at p = y.
- ``binned``: cross-entropy over ``bins`` classes from 0 to 1, the label in the nearest one; the
  prediction is the expectation. The 2nd place of Jigsaw Unintended Bias (Kaggle 2019), with 11.
- ``metric_shaped``: the cells are those of ``bce``; training/metric_shaped.py adds them up.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from auxfold.config import BALANCED, BinarySettings
from auxfold.errors import InputError
from auxfold.tasks.metrics import BINARY_METRICS
from auxfold.tasks.task import Task, refuse_cell

LEAST = 1e-6  # distance of label and probability under focal, whose powers have no slope at 0


class BinaryTask(Task):
    """A loss by name per column; soft labels are trained on as they are.

    Attributes:
        positive: what the positive part of a label counts, ``(columns,)`` or one number; with
            "balanced" learnt by :meth:`fit`, None where it is told row by row.
    """

    settings: BinarySettings
    default_metric = "auc"
    headline = ("auc", "ap", "log_loss")
    metrics = BINARY_METRICS

    def __init__(self, settings: BinarySettings) -> None:
        super().__init__(settings)
        self.bins = settings.bins if settings.loss == "binned" else None
        self.bias_loss_power = settings.power if settings.loss == "metric_shaped" else None
        given = settings.pos_weight
        self.positive = None if isinstance(given, str) else np.asarray(given, dtype=np.float32)

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

    def fit(self, labels: np.ndarray) -> None:
        if self.settings.pos_weight == BALANCED:
            rates = _rates(labels)
            self.positive = ((1 - rates) / rates).astype(np.float32)

    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        positive = np.float32(1.0) if self.positive is None else self.positive
        weights = np.broadcast_to(positive, labels.shape[1])
        if self.bins is None:
            rates = _rates(labels)
            return (np.log(rates / (1 - rates)) + np.log(weights)).astype(np.float32)
        made = []
        for column, weight in zip(labels.T, weights, strict=True):
            known = torch.from_numpy(column[~np.isnan(column)])
            counts = np.bincount(self._bins_of(known).numpy(), minlength=self.bins)
            # A bin without a row in this fold starts rare, not impossible.
            counts = np.maximum(counts, 0.5) * (1 + (weight - 1) * np.linspace(0, 1, self.bins))
            made.append(np.log(counts / counts.sum()))
        return np.concatenate(made).astype(np.float32)

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, positive: torch.Tensor | None = None
    ) -> torch.Tensor:
        """As of every task; ``positive`` ``(rows, 1)`` are weights told row by row."""
        if positive is None and self.positive is not None:
            positive = torch.from_numpy(self.positive).to(logits.device)
        if self.bins is not None:
            cells = self._binned(logits, labels)
            return cells if positive is None else cells * (1 + (positive - 1) * labels)
        smoothing = self.settings.label_smoothing
        labels = labels * (1 - smoothing) + 0.5 * smoothing
        cells = binary_cross_entropy_with_logits(
            logits, labels, reduction="none", pos_weight=positive
        )
        if self.settings.loss != "focal":
            return cells
        distance = (labels - logits.sigmoid()).abs().clamp(min=LEAST)
        return distance**self.settings.focal_gamma * cells

    def _binned(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        losses = cross_entropy(
            logits.reshape(-1, self.bins),
            self._bins_of(labels).reshape(-1),
            reduction="none",
            label_smoothing=self.settings.label_smoothing,
        )
        return losses.reshape(labels.shape)

    def _bins_of(self, labels: torch.Tensor) -> torch.Tensor:
        """The nearest bin; half-way the upper one, as a label counts from 0.5 on."""
        return (labels * (self.bins - 1) + 0.5).floor().long()

    def activate(self, logits: np.ndarray) -> np.ndarray:
        # tanh form: exact in both tails, no overflow.
        return 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))

    def label_summary(self, labels: np.ndarray) -> dict[str, str]:
        counts = np.nansum(labels >= 0.5, axis=0)
        pairs = zip(self.settings.columns, counts, strict=True)
        return {f"{column} ≥ 0.5": f"{int(n):,}" for column, n in pairs}

    def errors(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return np.abs(labels[:, 0] - predictions[:, 0])


def _rates(labels: np.ndarray) -> np.ndarray:
    """``(columns,)`` mean labels, off 0 and 1: a fold may hold a single positive row, or none."""
    counts = np.maximum((~np.isnan(labels)).sum(axis=0), 1)
    rates = np.nansum(labels, axis=0) / counts
    return np.clip(rates, 0.5 / counts, 1 - 0.5 / counts)
