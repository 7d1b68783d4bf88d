"""Regression tasks: one number per column, in the column's own units."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import huber_loss, l1_loss, mse_loss

from auxfold.config import RegressionSettings
from auxfold.errors import InputError
from auxfold.tasks.metrics import REGRESSION_METRICS
from auxfold.tasks.task import Scale, Task


class RegressionTask(Task):
    """Squared, absolute or Huber loss per column.

    With ``standardize`` the head learns targets of mean 0 and deviation 1 over the fold's
    training rows, and the model gives its logits in the column's own units; the loss is that of
    the standardised target, so that columns of different units count alike.
    """

    settings: RegressionSettings
    default_metric = "rmse"
    headline = ("spearman", "pearson", "rmse")
    metrics = REGRESSION_METRICS

    @property
    def n_outputs(self) -> int:
        return len(self.settings.columns)

    def check_labels(self, labels: np.ndarray, path: str) -> None:
        for position, column in enumerate(self.settings.columns):
            known = labels[~np.isnan(labels[:, position]), position]
            if len(known) == 0 or known.min() == known.max():
                what = "no label at all" if len(known) == 0 else f"the one value {known[0]:g}"
                raise InputError(f"{path}: column {column!r} has {what}; remove it")

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Five flags per column: which fifth of the labels a row's lies in."""
        made = []
        for values in labels.T:
            edges = np.nanquantile(values, [0.2, 0.4, 0.6, 0.8])
            fifths = np.searchsorted(edges, values)[:, None] == np.arange(5)
            made.append(np.where(np.isnan(values)[:, None], np.nan, fifths.astype(np.float32)))
        return np.concatenate(made, axis=1)

    def fit(self, labels: np.ndarray) -> None:
        if not self.settings.standardize:
            return
        known = (~np.isnan(labels)).any(axis=0)
        values = np.where(known, labels, 0.0).astype(np.float64)
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        # A column that is constant in this fold keeps its own units.
        self.scale = Scale(mean.tolist(), np.where(std > 0, std, 1.0).tolist())

    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        if self.scale is not None:
            return np.zeros(self.n_outputs, dtype=np.float32)
        counts = np.maximum((~np.isnan(labels)).sum(axis=0), 1)
        return (np.nansum(labels, axis=0) / counts).astype(np.float32)

    def cell_losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.scale is not None:
            mean, std = self.scale.tensors(logits.device)
            logits, labels = (logits - mean) / std, (labels - mean) / std
        if self.settings.loss == "huber":
            return huber_loss(logits, labels, reduction="none", delta=self.settings.huber_delta)
        function = mse_loss if self.settings.loss == "mse" else l1_loss
        return function(logits, labels, reduction="none")

    def activate(self, logits: np.ndarray) -> np.ndarray:
        return logits.astype(np.float64)

    def compute_metrics(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> dict[str, float | None]:
        made = super().compute_metrics(labels, predictions)
        if self.n_outputs > 1:  # the mean of the columns' RMSE, under Feedback Prize's name for it
            made["mcrmse"] = made["rmse"]
        return made

    def label_summary(self, labels: np.ndarray) -> dict[str, str]:
        made = {}
        for column, values in zip(self.settings.columns, labels.T, strict=True):
            known = values[~np.isnan(values)]
            spread = f"{known.mean():.3g} ± {known.std():.2g}" if len(known) else "–"
            made[f"{column} (mean ± sd)"] = spread
        return made

    def errors(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return np.abs(labels[:, 0] - predictions[:, 0])
