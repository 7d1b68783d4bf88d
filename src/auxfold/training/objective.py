"""The objective: weighted, masked, and equal to the one big batch's however it is cut.

Per task over one optimizer step, ``mean``: sum of w·loss over its labelled cells, divided by
their number; ``sum``: that per column, then added over columns. The total is the sum of
task.weight times task loss. The counts are those of the whole step, so that micro-batches (and
processes) simply add up. A loss that is no such sum (``metric_shaped``) becomes one when its means
over the step are known: see :meth:`Objective.shaped`.
"""

from __future__ import annotations

import numpy as np
import torch

from auxfold.data.table import Table
from auxfold.tasks import Task, label_slices
from auxfold.training.metric_shaped import MetricShape


class Objective:
    """Labels and weights of the training rows, ready to be asked for the loss of some rows.

    Args:
        tasks: the tasks in the order of the label columns.
        table: labels and weights; indices of rows below are rows of this table.
        device: where losses are computed.
    """

    def __init__(self, tasks: list[Task], table: Table, device: torch.device | str = "cpu") -> None:
        self.tasks = tasks
        self.device = torch.device(device)
        self._labels: dict[str, np.ndarray] = {}
        self._row_weights: dict[str, np.ndarray] = {}
        self._column_weights: dict[str, np.ndarray] = {}
        self._positive_weights = table.pos_weights
        self._shapes: dict[str, MetricShape] = {}
        for task, columns in label_slices(tasks):
            labels = table.labels[:, columns]
            self._labels[task.name] = labels
            own = table.task_weights.get(task.name, np.float32(1.0))
            self._row_weights[task.name] = (table.sample_weights * own)[:, None]
            weights = task.settings.label_weights or [1.0] * len(task.settings.columns)
            self._column_weights[task.name] = np.asarray(weights, dtype=np.float32)
            if task.bias_loss_power is not None:
                shape = MetricShape(labels[:, 0], table.identities, task.bias_loss_power)
                self._shapes[task.name] = shape

    @property
    def needs_means(self) -> bool:
        """Whether :meth:`shaped` has to be asked before :meth:`loss`."""
        return bool(self._shapes)

    def scales(self, step_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Per task ``(columns,)``: what one cell's row weight times loss is multiplied by.

        One over the step's number of labelled cells (over their summed row weights with
        ``divide_by_weight_sum``), times column weight and task.weight; zero where the step has
        no label. Under ``metric_shaped`` ``(terms,)``: that for every term a row is in.
        """
        made = {}
        for task in self.tasks:
            settings = task.settings
            counted = self._terms(task, step_rows).astype(np.float64)
            if settings.divide_by_weight_sum:
                counted *= self._row_weights[task.name][step_rows]
            totals = counted.sum(axis=0)
            if task.name in self._shapes:
                shares = self._shapes[task.name].shares(totals)
            else:
                if settings.reduction == "mean":
                    totals = np.full_like(totals, totals.sum())
                shares = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
            made[task.name] = settings.weight * self._column_weights[task.name] * shares
        return made

    def means(
        self, logits: dict[str, torch.Tensor], rows: np.ndarray, scales: dict[str, np.ndarray]
    ) -> dict[str, torch.Tensor]:
        """The share of the step's means that these rows bring, of tasks with such.

        Arguments as of :meth:`loss`. ``(terms,)`` float32 each, without gradient.
        """
        made = {}
        with torch.no_grad():
            for task in (task for task in self.tasks if task.name in self._shapes):
                cells = self._cells(task, logits[task.name], rows)
                weights = self._terms(task, rows) * self._row_weights[task.name][rows]
                made[task.name] = (cells * self._tensor(weights * scales[task.name])).sum(dim=0)
        return made

    def shaped(
        self, scales: dict[str, np.ndarray], means: dict[str, torch.Tensor]
    ) -> dict[str, np.ndarray]:
        """The scales of a step whose means are known: from here on its loss is a sum over cells.

        Args:
            scales: what :meth:`scales` gave.
            means: what :meth:`means` gave, added up over the step.
        """
        made = dict(scales)
        for name, shape in self._shapes.items():
            of_terms = means[name].cpu().double().numpy()
            of_terms = np.where(scales[name] > 0, of_terms, np.nan)
            made[name] = scales[name] * shape.slopes(of_terms)
        return made

    def loss(
        self,
        logits: dict[str, torch.Tensor],
        rows: np.ndarray,
        scales: dict[str, np.ndarray],
        factors: dict[str, float] | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The share of the step's loss that these rows bring, in total and per task.

        Args:
            logits: task name to ``(len(rows), head_width)``.
            rows: the rows of one micro-batch.
            scales: what :meth:`scales` gave for the whole step, then :meth:`shaped` where needed.
            factors: what a task's loss is multiplied by in the total alone, for this step.
        """
        parts = {}
        for task in self.tasks:
            scaled = self._terms(task, rows) * scales[task.name]
            if task.name in self._shapes:
                scaled = scaled.sum(axis=1, keepdims=True)
            cells = self._cells(task, logits[task.name], rows)
            weights = self._tensor(self._row_weights[task.name][rows] * scaled)
            parts[task.name] = (cells * weights).sum()
        total = parts if factors is None else {k: factors[k] * v for k, v in parts.items()}
        return torch.stack(list(total.values())).sum(), {k: v.detach() for k, v in parts.items()}

    def _terms(self, task: Task, rows: np.ndarray) -> np.ndarray:
        """``(len(rows), columns)`` bool: which cells are labelled; or which terms a row is in."""
        if task.name in self._shapes:
            return self._shapes[task.name].masks(rows)
        return ~np.isnan(self._labels[task.name][rows])

    def _cells(self, task: Task, logits: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """The loss of every cell, also of those without a label."""
        labels = self._tensor(np.nan_to_num(self._labels[task.name][rows], nan=0.0))
        own = self._positive_weights.get(task.name)
        told = {} if own is None else {"positive": self._tensor(own[rows, None])}
        return task.cell_losses(logits.float(), labels, **told)

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device, non_blocking=True)
