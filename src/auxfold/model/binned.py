"""Heads that learn a number in [0, 1] as classes, and their output at inference."""

from __future__ import annotations

import torch


def logit_of_expectation(outputs: torch.Tensor, bins: int) -> torch.Tensor:
    """The logit of every column's expectation, so that its sigmoid is the prediction.

    The classes are c = 0 … 1, evenly spaced, and q is their softmax. The expectation is Σ q·c, and
    one minus it is Σ q·(1 - c). The logit is the difference of their logarithms, computed without
    overflow.

    Args:
        outputs: ``(rows, columns * bins)``, column by column.
        bins: classes per column, at least 2.

    Returns:
        ``(rows, columns)``.
    """
    outputs = outputs.reshape(len(outputs), -1, bins)
    centers = torch.linspace(0.0, 1.0, bins, device=outputs.device, dtype=outputs.dtype)
    log_expectation = torch.logsumexp(outputs + centers.log(), dim=-1)
    log_complement = torch.logsumexp(outputs + centers.flip(0).log(), dim=-1)
    return log_expectation - log_complement
