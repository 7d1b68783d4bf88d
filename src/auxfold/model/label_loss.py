"""The loss of labels that a caller passes to the model."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.loss.loss_utils import ForSequenceClassificationLoss

from auxfold.model.config import MultiTaskConfig
from auxfold.tasks.kinds import task_from_record
from auxfold.tasks.reduction import batch_loss


def label_loss(
    config: MultiTaskConfig, task: str, outputs: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """The loss of one head: its task's, or that of transformers where no task is stored.

    The latter is the squared error of one output, the cross-entropy of integers, else the binary
    cross-entropy, unless the configuration has a ``problem_type``.

    Args:
        config: of the model.
        task: the name of the head.
        outputs: ``(rows, head_width)``, as the head gives them in training.
        labels: as :func:`batch_loss` takes them.

    Raises:
        InputError: as :func:`batch_loss`.
    """
    if task in config.tasks:
        return batch_loss(task_from_record(config.tasks[task]), outputs, labels)
    # A new object for every call: transformers stores the first batch's problem type in it, which
    # is not that of another head.
    settings: dict[str, Any] = {"num_labels": outputs.shape[1]}
    head = PreTrainedConfig(**settings, problem_type=config.problem_type)
    return ForSequenceClassificationLoss(labels, outputs, head)
