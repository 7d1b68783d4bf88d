"""Heads that learn a number in [0, 1] as classes: what they give at inference."""

from __future__ import annotations

import torch


def logit_of_expectation(outputs: torch.Tensor, bins: int) -> torch.Tensor:
    """The logit of every column's expectation, so that its sigmoid is the prediction.

    With classes at c = 0 … 1, evenly spaced, and their softmax q, the expectation is Σ q·c and one
    minus it Σ q·(1 - c); the logit is the difference of their logarithms, without overflow.

    Args:
        outputs: ``(rows, columns * bins)``, column by column.
        bins: classes per column, at least 2.

    Returns:
        ``(rows, columns)``.
    """
    outputs = outputs.reshape(len(outputs), -1, bins)
    centres = torch.linspace(0.0, 1.0, bins, device=outputs.device, dtype=outputs.dtype)
    above = torch.logsumexp(outputs + centres.log(), dim=-1)
    below = torch.logsumexp(outputs + centres.flip(0).log(), dim=-1)
    return above - below
