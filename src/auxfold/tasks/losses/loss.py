"""What a loss function provides. A new one is a subclass of :class:`Loss`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

import torch

from auxfold.config import TaskSettings

Settings = TypeVar("Settings", bound=TaskSettings)


class Loss(ABC, Generic[Settings]):
    """The loss of every cell of a task, by its ``loss`` key.

    Attributes:
        keys: the keys of ``[[tasks]]`` that this loss reads, in addition to those that all losses
            of its kind of task read.
        bins: the classes per column, where the head learns such. At inference the model gives the
            logit of their expectation instead. None: the head has one output per column.
        bias_loss_power: the exponent of the bias loss, where the cells are combined by that one;
            None: they are added up.
    """

    keys: ClassVar[tuple[str, ...]] = ()
    bins: int | None = None
    bias_loss_power: float | None = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Unreduced loss of every cell, ``(rows, columns)``.

        Args:
            logits: ``(rows, head_width)``.
            labels: ``(rows, columns)`` without NaN.
            pos_weight: the weight of the positive part of a label, of a shape that broadcasts to
                ``(rows, columns)``; None: 1. Only binary losses read it.
        """
