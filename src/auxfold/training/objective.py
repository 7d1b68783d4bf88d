"""The objective: weighted, masked, and equal to that of the one big batch however it is divided.

Per task over one optimizer step, ``mean`` is the sum of w·loss over the labeled cells, divided by
their number. ``sum`` is that per column, added over the columns. The total is the sum of
task.weight times task loss. The counts are those of the whole step, so that the losses of
micro-batches and processes simply add up. A loss that is not such a sum (``metric_shaped``) becomes
one when the means of the step are known: see :meth:`StepLoss.set_means`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from auxfold.data.table import Table
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.reduction import cell_shares
from auxfold.training.metric_shaped import loss_slopes, term_masks


@dataclass(frozen=True)
class TaskCells:
    """The labels and weights of one task for all rows of a table, on the training device.

    A loss is a weighted sum of terms. A term is a target (a label column, or one set of classes),
    or, under ``metric_shaped``, one of the means that the loss is made of.

    Attributes:
        task: gives the loss of a cell.
        labels: ``(rows, columns)`` float32; 0 where not labeled, which ``terms`` masks.
        terms: ``(rows, terms)`` bool, the terms that a row counts in.
        sample_weights: ``(rows, 1)`` float32.
        summed_weights: ``(rows, 1)`` float32, whose sum divides the loss with
            ``divide_by_weight_sum``: the sample weights, times the weights of classes.
        label_weights: ``(targets,)`` float32.
        pos_weights: ``(rows, 1)`` float32, or None where ``pos_weight`` is not a column.
        contributes: ``(rows,)`` bool on the host, the rows that can move the task's head.
    """

    task: Task
    labels: torch.Tensor
    terms: torch.Tensor
    sample_weights: torch.Tensor
    summed_weights: torch.Tensor
    label_weights: torch.Tensor
    pos_weights: torch.Tensor | None
    contributes: np.ndarray

    @property
    def is_metric_shaped(self) -> bool:
        """Whether the loss has the shape of the bias metric."""
        return self.task.bias_loss_power is not None


class Objective:
    """Labels and weights of a table as tensors, from which each step takes its loss.

    Args:
        tasks: the tasks in the order of the label columns.
        table: the labels and fitted weights; all indices are rows of this table.
        device: where losses are computed.
    """

    def __init__(self, tasks: TaskSet, table: Table, device: torch.device | str = "cpu") -> None:
        assert not table.scheme_factors, "weights are fitted to the rows to train on before"
        self.device = torch.device(device)
        self.cells = {
            task.name: self._make_cells(task, tasks.slices[task.name], table) for task in tasks
        }

    def for_step(self, indices: np.ndarray) -> StepLoss:
        """The loss of one optimizer step over these rows."""
        return StepLoss(self, self.to_device(indices), self.present(indices))

    def present(self, indices: np.ndarray) -> dict[str, bool]:
        """For each task whether one of these rows can move its head."""
        return {name: bool(cells.contributes[indices].any()) for name, cells in self.cells.items()}

    def to_device(self, indices: np.ndarray | torch.Tensor) -> torch.Tensor:
        """``(rows,)`` indices on the device of the labels."""
        if isinstance(indices, np.ndarray):
            indices = torch.from_numpy(indices)
        return indices.to(self.device, non_blocking=True)

    def _make_cells(self, task: Task, columns: slice, table: Table) -> TaskCells:
        settings = task.settings
        labels = torch.tensor(table.labels[:, columns], dtype=torch.float32)
        task_weights = table.task_weights.get(task.name, np.float32(1.0))
        sample_weights = torch.from_numpy(table.sample_weights * task_weights)[:, None]
        label_weights = torch.tensor(
            settings.label_weights or [1.0] * len(settings.targets), dtype=torch.float32
        )
        cell_weights = task.cell_weights(labels.numpy())
        terms = torch.from_numpy(task.is_labeled(labels.numpy()))
        counted = terms & (label_weights > 0)
        if task.bias_loss_power is not None:
            terms = term_masks(labels[:, 0], torch.tensor(table.identities))
        if settings.divide_by_weight_sum:
            counted = counted & (sample_weights > 0)
        pos_weights = table.pos_weights.get(task.name)
        return TaskCells(
            task=task,
            labels=labels.nan_to_num(0.0).to(self.device),
            terms=terms.to(self.device),
            sample_weights=sample_weights.to(self.device),
            summed_weights=(
                sample_weights
                if cell_weights is None
                else sample_weights * torch.from_numpy(cell_weights)
            ).to(self.device),
            label_weights=label_weights.to(self.device),
            pos_weights=None
            if pos_weights is None
            else torch.tensor(pos_weights)[:, None].to(self.device),
            contributes=(counted.any(dim=1) & (settings.weight > 0)).numpy(),
        )


class StepLoss:
    """The loss of one optimizer step, as a weighted sum over its cells.

    Args:
        objective: the labels and weights of all rows.
        indices: ``(rows,)`` int64 on the device, the rows of the step.
        present: of :meth:`Objective.present`.
        is_real: ``(rows, 1)`` bool on the device, false for indices that only fill up a fixed
            number of rows; None: all count. With it the step is one micro-batch.

    Attributes:
        present: for each task whether a row of the step can move its head.
        term_weights: task name to ``(terms,)``, the factor of the sample weight times the loss of
            every cell in a term. It is one over the number of labeled cells of the step (over
            their summed weights with ``divide_by_weight_sum``), times label weight and
            ``task.weight``, and 0 where the step has no label.
        needs_means: whether :meth:`set_means` must come before the loss.
    """

    def __init__(
        self,
        objective: Objective,
        indices: torch.Tensor,
        present: dict[str, bool],
        is_real: torch.Tensor | None = None,
    ) -> None:
        self.objective, self.present, self.is_real = objective, present, is_real
        self.term_weights = {
            name: self._count_terms(cells, indices) for name, cells in objective.cells.items()
        }
        self.needs_means = any(cells.is_metric_shaped for cells in objective.cells.values())

    def __call__(
        self, logits: dict[str, torch.Tensor], indices: np.ndarray | torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """What the rows of one micro-batch add to each task's loss, ``task.weight`` included.

        Args:
            logits: task name to ``(len(indices), head_width)``.
            indices: the rows.
        """
        index = self.objective.to_device(indices)
        losses = {}
        for name, cells in self.objective.cells.items():
            weights = self._terms(cells, index) * self.term_weights[name]
            if cells.is_metric_shaped:
                weights = weights.sum(dim=1, keepdim=True)
            weights = (cells.sample_weights[index] * weights).float()
            losses[name] = (self._cell_losses(cells, logits[name], index) * weights).sum()
        return losses

    @torch.no_grad()
    def term_means(
        self, logits: dict[str, torch.Tensor], indices: np.ndarray | torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """What the rows of one micro-batch add to the means of ``metric_shaped`` losses.

        Arguments as in :meth:`__call__`. Each value is ``(terms,)`` float32.
        """
        index = self.objective.to_device(indices)
        means = {}
        for name, cells in self.objective.cells.items():
            if cells.is_metric_shaped:
                weights = self._terms(cells, index) * cells.sample_weights[index]
                weights = (weights * self.term_weights[name]).float()
                means[name] = (self._cell_losses(cells, logits[name], index) * weights).sum(dim=0)
        return means

    def set_means(self, means: dict[str, torch.Tensor]) -> None:
        """Turn ``metric_shaped`` losses into weighted sums over cells.

        Args:
            means: what :meth:`term_means` gave, added over the step and its processes.
        """
        for name, values in means.items():
            weights = self.term_weights[name]
            values = torch.where(weights > 0, values.to(weights.dtype), float("nan"))
            power = self.objective.cells[name].task.bias_loss_power
            assert power is not None, "only metric_shaped losses have means"
            self.term_weights[name] = weights * loss_slopes(values, power)
        self.needs_means = False

    def mute(self) -> None:
        """Multiply the loss by zero, for a process that has no row of the step."""
        self.term_weights = {name: 0.0 * weights for name, weights in self.term_weights.items()}

    def clear_absent_heads(self, heads: torch.nn.ModuleDict) -> None:
        """Give the heads of absent tasks no gradient rather than a zero gradient.

        With a zero gradient AdamW would keep moving them by momentum and decay.
        """
        for name, is_present in self.present.items():
            if not is_present:
                heads[name].zero_grad(set_to_none=True)

    def _terms(self, cells: TaskCells, index: torch.Tensor) -> torch.Tensor:
        """``(rows, terms)`` bool, the terms that each row counts in."""
        terms = cells.terms[index]
        return terms if self.is_real is None else terms & self.is_real

    def _count_terms(self, cells: TaskCells, index: torch.Tensor) -> torch.Tensor:
        settings = cells.task.settings
        counted = self._terms(cells, index).double()
        if settings.divide_by_weight_sum:
            counted = counted * cells.summed_weights[index]
        totals = counted.sum(dim=0)
        if cells.is_metric_shaped:
            shares = torch.where(totals > 0, 0.25 / totals, 0.0)
        else:
            shares = cell_shares(totals, settings.reduction)
        return settings.weight * cells.label_weights * shares

    def _cell_losses(
        self, cells: TaskCells, logits: torch.Tensor, index: torch.Tensor
    ) -> torch.Tensor:
        """The loss of every cell, of those without a label too."""
        pos_weight = None if cells.pos_weights is None else cells.pos_weights[index]
        return cells.task.cell_losses(logits.float(), cells.labels[index], pos_weight)
