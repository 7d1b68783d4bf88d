"""Losses of one of several classes."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy, one_hot

from auxfold.config import ClassSettings, MulticlassSettings
from auxfold.tasks.losses.loss import Loss

EPS = 1e-6  # the least distance of labels and probabilities, whose powers have no slope at 0


class CrossEntropy(Loss[ClassSettings]):
    """Softmax cross-entropy Σ w·y·(-log p) over the classes, with class weights w.

    A label is a class number, or one share y per class. Label smoothing s moves the shares to
    ``y·(1 - s) + s / classes``.
    """

    def cell_losses(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        pos_weight: torch.Tensor | None = None,
        class_weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Unreduced loss of every row, ``(rows, 1)``.

        Args:
            logits: ``(rows, classes)``.
            labels: ``(rows, 1)`` class numbers, or ``(rows, classes)`` shares.
            pos_weight: not read.
            class_weight: ``(classes,)``; None: 1.
        """
        losses = cross_entropy(
            logits,
            labels if labels.shape[1] > 1 else labels[:, 0].long(),
            weight=class_weight,
            reduction="none",
            label_smoothing=self.settings.label_smoothing,
        )
        return losses[:, None]


class FocalCrossEntropy(CrossEntropy):
    """Softmax cross-entropy times ``(½ Σ |y - p|) ** focal_gamma``.

    Half the sum of the distances is ``1 - p`` of the true class for a hard label, so that this is
    the focal loss of Lin et al. 2017 (*Focal loss for dense object detection*). With shares of two
    classes it is the focal loss of binary tasks.
    """

    keys = ("focal_gamma",)
    settings: MulticlassSettings

    def cell_losses(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        pos_weight: torch.Tensor | None = None,
        class_weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As of cross-entropy; a row that is nearly right has a loss of nearly 0."""
        n_classes, smoothing = logits.shape[1], self.settings.label_smoothing
        shares = labels if labels.shape[1] > 1 else one_hot(labels[:, 0].long(), n_classes)
        shares = shares * (1 - smoothing) + smoothing / n_classes
        distance = 0.5 * (shares - logits.softmax(dim=1)).abs().sum(dim=1, keepdim=True)
        losses = super().cell_losses(logits, labels, pos_weight, class_weight)
        return distance.clamp(min=EPS) ** self.settings.focal_gamma * losses
