"""Regression tasks: one number per column, in the column's own units."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch

from auxfold.config import RegressionSettings
from auxfold.errors import InputError
from auxfold.tasks.losses import REGRESSION_LOSSES
from auxfold.tasks.metrics import REGRESSION_METRICS
from auxfold.tasks.task import Scale, Task


class RegressionTask(Task):
    """Squared, absolute or Huber loss per column.

    With ``standardize`` the head learns targets of mean 0 and deviation 1 over the fold's
    training rows, and the model gives its logits in the column's own units; the loss is that of
    the standardized target, so that columns of different units count alike.
    """

    settings: RegressionSettings
    kind = "regression"
    default_metric = "rmse"
    headline = ("spearman", "pearson", "rmse")
    metrics = REGRESSION_METRICS
    predicts_probabilities = False

    def __init__(self, settings: RegressionSettings) -> None:
        super().__init__(settings)
        self.loss = REGRESSION_LOSSES[settings.loss](settings)

    @property
    def n_outputs(self) -> int:
        return len(self.settings.label_columns)

    def check_labels(self, labels: np.ndarray, path: str) -> None:
        for position, column in enumerate(self.settings.label_columns):
            known = labels[~np.isnan(labels[:, position]), position]
            if len(known) == 0 or known.min() == known.max():
                what = "no label at all" if len(known) == 0 else f"the one value {known[0]:g}"
                raise InputError(f"{path}: column {column!r} has {what}; remove it")

    def stratification_flags(self, labels: np.ndarray) -> np.ndarray:
        """Five flags per column: which fifth of the labels a row's lies in."""
        flags = []
        for values in labels.T:
            edges = np.nanquantile(values, [0.2, 0.4, 0.6, 0.8])
            fifths = np.searchsorted(edges, values)[:, None] == np.arange(5)
            flags.append(np.where(np.isnan(values)[:, None], np.nan, fifths.astype(np.float32)))
        return np.concatenate(flags, axis=1)

    def fit(self, labels: np.ndarray) -> Self:
        if not self.settings.standardize:
            return self
        known = (~np.isnan(labels)).any(axis=0)
        values = np.where(known, labels, 0.0).astype(np.float64)
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        # A column that is constant in this fold keeps its own units.
        self.scale = Scale(mean.tolist(), np.where(std > 0, std, 1.0).tolist())
        return self

    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        if self.scale is not None:
            return np.zeros(self.n_outputs, dtype=np.float32)
        counts = np.maximum((~np.isnan(labels)).sum(axis=0), 1)
        return (np.nansum(labels, axis=0) / counts).astype(np.float32)

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        if self.scale is not None:
            mean, std = self.scale.tensors(logits.device)
            logits, labels = (logits - mean) / std, (labels - mean) / std
        return super().cell_losses(logits, labels, pos_weight)

    def activate(self, logits: np.ndarray) -> np.ndarray:
        return logits.astype(np.float64)

    def to_logits(self, predictions: np.ndarray) -> np.ndarray:
        return predictions.astype(np.float64)

    def compute_metrics(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> dict[str, float | None]:
        metrics = super().compute_metrics(labels, predictions)
        if self.n_outputs > 1:  # the mean of the columns' RMSE, under Feedback Prize's name for it
            metrics["mcrmse"] = metrics["rmse"]
        return metrics

    def label_summary(self, labels: np.ndarray) -> dict[str, str]:
        summary = {}
        for column, values in zip(self.settings.label_columns, labels.T, strict=True):
            known = values[~np.isnan(values)]
            mean_and_sd = f"{known.mean():.3g} ± {known.std():.2g}" if len(known) else "–"
            summary[f"{column} (mean ± sd)"] = mean_and_sd
        return summary

    def errors(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return np.abs(labels[:, 0] - predictions[:, 0])
