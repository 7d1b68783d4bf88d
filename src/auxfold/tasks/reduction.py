"""The loss of a batch from the losses of its cells, where every row weighs the same."""

from __future__ import annotations

import torch

from auxfold.errors import InputError
from auxfold.tasks.task import Task


def cell_shares(counts: torch.Tensor, reduction: str) -> torch.Tensor:
    """The factor of a cell of every column in the task's loss; 0 where nothing is labeled.

    Args:
        counts: ``(columns,)``, the labeled cells of each column, or their summed weights.
        reduction: ``mean`` divides by the cells of all columns, ``sum`` by those of the column.
    """
    totals = counts.sum().expand_as(counts) if reduction == "mean" else counts
    return torch.where(totals > 0, 1.0 / totals, 0.0)


def batch_loss(task: Task, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A fitted task's loss as in training, without ``tasks.weight`` and weights of rows.

    Args:
        task: the task.
        logits: ``(rows, head_width)``, as the head gives them in training.
        labels: ``(rows,)`` or ``(rows, label columns)``. A cell is not labeled where it is NaN, or
            -100 among integers, as in torch.

    Raises:
        InputError: labels of another shape, or a loss that needs more columns than the labels.
    """
    columns = task.settings.label_columns
    labels = labels.to(logits.device)
    labels = labels[:, None] if labels.dim() == 1 else labels
    if labels.shape != (len(logits), len(columns)):
        raise InputError(
            f"labels have the shape {tuple(labels.shape)}; task {task.name!r} expects one number "
            f"per row and label column, {(len(logits), len(columns))}: {', '.join(columns)}"
        )
    if task.bias_loss_power is not None or task.settings.pos_weight_column is not None:
        needed = task.settings.pos_weight_column or "the identities"
        raise InputError(
            f"the loss of task {task.name!r} needs {needed} of every row, which labels do not "
            f"hold; compute it from the logits, or train with scripts/train.py"
        )
    if not labels.is_floating_point():
        labels = labels.float().masked_fill(labels == -100, float("nan"))
    labels = labels.detach().float()
    labeled = torch.from_numpy(task.is_labeled(labels.cpu().numpy())).to(labels.device)
    counted, class_weights = labeled.double(), task.cell_weights(labels.cpu().numpy())
    if task.settings.divide_by_weight_sum and class_weights is not None:
        counted = counted * torch.from_numpy(class_weights).to(labels.device)
    shares = cell_shares(counted.sum(dim=0), task.settings.reduction)
    if task.settings.label_weights is not None:
        shares = shares * shares.new_tensor(task.settings.label_weights)
    losses = task.cell_losses(logits.float(), labels.nan_to_num(0.0))
    return (losses * (labeled * shares).float()).sum()
