"""What a metric is, and the mean over the metrics of several columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

MetricFunction = Callable[[np.ndarray, np.ndarray], float | None]


@dataclass(frozen=True)
class Metric:
    """A function of one column's labels and predictions.

    Attributes:
        function: takes labels ``(rows,)``, NaN where not labeled, and predictions ``(rows,)`` or
            ``(rows, classes)``; returns None where the metric is undefined, never 0 or NaN.
        needs: what it reads from the predictions. ``scores``: their order (any increasing function
            of them will do); ``values``: the numbers themselves; ``probabilities``: numbers in
            [0, 1], of classes one of each; ``classes``: only which class is the likeliest.
        higher_is_better: whether a larger value is better.
        min_classes: the classes that a task needs to have this metric.
    """

    function: MetricFunction
    needs: Literal["scores", "values", "probabilities", "classes"]
    higher_is_better: bool = True
    min_classes: int = 0

    def __call__(self, labels: np.ndarray, predictions: np.ndarray) -> float | None:
        return self.function(labels, predictions)


def mean_defined(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are defined; None where none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``; None where the whole is not above zero."""
    return float(part / whole) if whole > 0 else None
