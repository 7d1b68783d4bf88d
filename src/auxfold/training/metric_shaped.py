"""The loss in the shape of the metric of Jigsaw Unintended Bias (1st place, Kaggle 2019).

``(overall + subgroup + bpsn + bnsp) / 4``: overall is the mean cross-entropy of all labelled rows,
each family the power mean ``mean(m_i ** power) ** (1 / power)`` over the identities i, with m_i the
mean cross-entropy of the rows in the family's mask of that identity (as scoring/bias/ has them;
label and identity count from 0.5 on, an identity that is not annotated is none). An identity
without a row in a mask is left out of the mean, a family without any adds nothing.

It is no sum over rows. But given the means of the whole step, its derivatives by them are known,
and within the step the gradient is that of a weighted sum of the rows' losses; this sum also has
the loss's value, since a power mean is homogeneous (Euler). So a step's means are looked at first,
and then micro-batches and processes add up as ever. The derivative is computed as a ratio, never as
that of a root: at zero, on a step without an identity, the root's own is NaN.
"""

from __future__ import annotations

import numpy as np

N_FAMILIES = 3  # subgroup, bpsn, bnsp


class MetricShape:
    """The masks of one task's rows, and what each counts in a step.

    Terms are the overall mean, then subgroup, BPSN and BNSP with a term per identity.

    Args:
        labels: ``(rows,)``, NaN where not labelled.
        identities: ``(rows, identities)``, NaN where not annotated.
        power: of the mean over identities, at least 1.
    """

    def __init__(self, labels: np.ndarray, identities: np.ndarray, power: float) -> None:
        self.labels, self.identities, self.power = labels, identities, power

    def masks(self, rows: np.ndarray) -> np.ndarray:
        """``(len(rows), terms)`` bool: which terms each row is in; none where not labelled."""
        labels = self.labels[rows, None]
        known, positive = ~np.isnan(labels), labels >= 0.5
        member = self.identities[rows] >= 0.5
        bpsn, bnsp = member != positive, member == positive
        return np.concatenate([known, known & member, known & bpsn, known & bnsp], axis=1)

    def shares(self, counts: np.ndarray) -> np.ndarray:
        """``(terms,)`` a quarter over what is in a term; 0 where nothing is.

        Args:
            counts: ``(terms,)`` the step's rows (or their summed weights) in each term.
        """
        return np.divide(0.25, counts, out=np.zeros_like(counts), where=counts > 0)

    def slopes(self, means: np.ndarray) -> np.ndarray:
        """``(terms,)`` derivatives of the power means by their means; 1 for the overall one.

        Args:
            means: ``(terms,)`` mean losses of the step, or any multiple of them; NaN where a term
                has no row, which makes its slope 0.
        """
        slopes = [1.0]
        for own in means[1:].reshape(N_FAMILIES, -1):
            slopes += list(power_mean_slopes(own, self.power))
        return np.array(slopes)


def power_mean_slopes(values: np.ndarray, power: float) -> np.ndarray:
    """Derivatives of ``mean(v ** power) ** (1 / power)`` over the values that are not NaN.

    Each is ``(v / mean) ** (power - 1) / n``, and 0 for NaN. Where all values are zero, it is the
    slope of equal ones, ``1 / n``.
    """
    known = ~np.isnan(values)
    made = np.zeros_like(values)
    if not known.any():
        return made
    # Divided by the largest, no power overflows.
    relative = values[known] / values[known].max() if values[known].any() else np.ones(known.sum())
    mean = np.mean(relative**power) ** (1 / power)
    made[known] = (relative / mean) ** (power - 1) / known.sum()
    return made
