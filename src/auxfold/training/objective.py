"""The objective: weighted, masked, and equal to the one big batch's however it is cut.

Per task over one optimizer step, ``mean``: sum of w·loss over its labelled cells, divided by
their number; ``sum``: that per column, then added over columns. The total is the sum of
task.weight times task loss. The counts are those of the whole step, so that micro-batches (and
processes) simply add up.
"""

from __future__ import annotations

import numpy as np
import torch

from auxfold.data.table import Table
from auxfold.tasks import Task, label_slices


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
        for task, columns in label_slices(tasks):
            self._labels[task.name] = table.labels[:, columns]
            own = table.task_weights.get(task.name, np.float32(1.0))
            self._row_weights[task.name] = (table.row_weights * own)[:, None]
            weights = task.settings.column_weights or [1.0] * len(task.settings.columns)
            self._column_weights[task.name] = np.asarray(weights, dtype=np.float32)

    def scales(self, step_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Per task ``(columns,)``: what one cell's row weight times loss is multiplied by.

        One over the step's number of labelled cells (over their summed row weights with
        ``normalize_row_weights``), times column weight and task.weight; zero where the step has
        no label.
        """
        made = {}
        for task in self.tasks:
            settings = task.settings
            known = ~np.isnan(self._labels[task.name][step_rows])
            counted = known.astype(np.float64)
            if settings.normalize_row_weights:
                counted *= self._row_weights[task.name][step_rows]
            totals = counted.sum(axis=0)
            if settings.reduction == "mean":
                totals = np.full_like(totals, totals.sum())
            shares = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
            made[task.name] = settings.weight * self._column_weights[task.name] * shares
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
            logits: task name to ``(len(rows), n_outputs)``.
            rows: the rows of one micro-batch.
            scales: what :meth:`scales` gave for the whole step.
            factors: what a task's loss is multiplied by in the total alone, for this step.
        """
        parts = {}
        for task in self.tasks:
            labels = self._labels[task.name][rows]
            known = ~np.isnan(labels)
            weights = np.where(known, self._row_weights[task.name][rows] * scales[task.name], 0.0)
            cells = task.cell_losses(
                logits[task.name].float(), self._tensor(np.nan_to_num(labels, nan=0.0))
            )
            parts[task.name] = (cells * self._tensor(weights)).sum()
        total = parts if factors is None else {k: factors[k] * v for k, v in parts.items()}
        return torch.stack(list(total.values())).sum(), {k: v.detach() for k, v in parts.items()}

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device, non_blocking=True)
