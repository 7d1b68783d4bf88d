"""The loss in the shape of the metric of Jigsaw Unintended Bias (1st place, Kaggle 2019).

``(overall + subgroup + bpsn + bnsp) / 4``. Overall is the mean cross-entropy of all labeled rows.
Each family is the power mean ``mean(m_i ** power) ** (1 / power)`` over the identities i, where m_i
is the mean cross-entropy of the rows in the family's mask of that identity. The masks are those of
the metric (fairness/): labels and identities count from 0.5 on, and an identity that is not
annotated is not mentioned. An identity without a row in a mask is left out of the power mean, and a
family without any adds nothing.

This is not a sum over rows. But once the means of the whole step are known, so are the derivatives
by them, and within the step the gradient is that of a weighted sum of the rows' losses. This sum
also has the value of the loss, since a power mean is homogeneous (Euler). So the means of a step
are computed first, and then micro-batches and processes add up as usual. The derivative is
computed as a ratio, never as that of a root: at zero, in a step without an identity, the derivative
of the root is NaN.
"""

from __future__ import annotations

import torch

N_FAMILIES = 3  # subgroup, bpsn, bnsp


def term_masks(labels: torch.Tensor, identities: torch.Tensor) -> torch.Tensor:
    """``(rows, terms)`` bool: the terms that each row belongs to; none where it is not labeled.

    The terms are the overall mean, then subgroup, BPSN and BNSP with one term per identity.

    Args:
        labels: ``(rows,)``, NaN where not labeled.
        identities: ``(rows, identities)``, NaN where not annotated.
    """
    labels = labels[:, None]
    known, positive = ~labels.isnan(), labels >= 0.5
    member = identities >= 0.5
    bpsn, bnsp = member != positive, member == positive
    return torch.cat([known, known & member, known & bpsn, known & bnsp], dim=1)


def loss_slopes(means: torch.Tensor, power: float) -> torch.Tensor:
    """``(terms,)`` the derivatives of the power means by their means; 1 for the overall mean.

    Args:
        means: ``(terms,)`` mean losses of the step, or any multiple of them; NaN where no row
            belongs to a term, whose slope is then 0.
        power: of the mean over identities, at least 1.
    """
    families = means[1:].reshape(N_FAMILIES, -1)
    slopes = [power_mean_slopes(family, power) for family in families]
    return torch.cat([torch.ones_like(means[:1]), *slopes])


def power_mean_slopes(values: torch.Tensor, power: float) -> torch.Tensor:
    """The derivatives of ``mean(v ** power) ** (1 / power)`` over the values that are not NaN.

    Each is ``(v / mean) ** (power - 1) / n``, and 0 for NaN. Where all values are zero, it is the
    slope of equal values, ``1 / n``.
    """
    if len(values) == 0:
        return values
    known = ~values.isnan()
    count = known.sum()
    values = torch.where(known, values, 0.0)
    # Divided by the largest value, no power overflows.
    largest = values.max()
    relative = torch.where(largest > 0, values / largest, known.to(values.dtype))
    mean = (torch.where(known, relative**power, 0.0).sum() / count) ** (1 / power)
    return torch.where(known, (relative / mean) ** (power - 1) / count, 0.0)
