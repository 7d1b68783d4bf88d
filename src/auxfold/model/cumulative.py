"""Heads for ordered classes: the proportional odds model."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import linear, logsigmoid

MIN_GAP = 1e-6  # between two cut points, where rounding leaves none


class CumulativeHead(nn.Module):
    """One score s per row and increasing cut points θ: P(class <= k) = sigmoid(θ_k - s).

    McCullagh 1980, *Regression models for ordinal data*. The cut points are learned as the first
    one and the logarithms of the gaps between neighbors, so that they always increase. They are
    few numbers that fix how confident the model can be, and learn faster than other weights (see
    ``training/optimizer.py``).

    Args:
        in_features: the width of the features.
        n_classes: the number of classes, at least 2.
    """

    def __init__(self, in_features: int, n_classes: int) -> None:
        super().__init__()
        self.cut_points = nn.Parameter(torch.zeros(n_classes - 1))
        self.weight = nn.Parameter(torch.empty(1, in_features))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The logarithms of the probabilities of all classes, ``(rows, n_classes)``."""
        cut_points = self.cut_points.float()
        first, gaps = cut_points[:1], cut_points[1:].exp()
        thresholds = torch.cat([first, first + gaps.cumsum(0)])
        distance = thresholds - linear(features, self.weight).float()
        # sigmoid(a) - sigmoid(b) = sigmoid(a) · sigmoid(-b) · (1 - exp(b - a)), without overflow
        at_most, above = logsigmoid(distance), logsigmoid(-distance)
        between = at_most[:, 1:] + above[:, :-1] + (-torch.expm1(-gaps)).log()
        return torch.cat([at_most[:, :1], between, above[:, -1:]], dim=1)

    @torch.no_grad()
    def set_cut_points(self, thresholds: torch.Tensor) -> None:
        """Set the cut points to increasing numbers ``(n_classes - 1,)``."""
        self.cut_points[:1] = thresholds[:1]
        self.cut_points[1:] = thresholds.diff().clamp(min=MIN_GAP).log()
