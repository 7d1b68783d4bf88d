"""The blending methods by name, and their options."""

from __future__ import annotations

from dataclasses import dataclass

# Methods of equal weights, each with the scale on which it averages.
EQUAL_METHODS = {"mean": "probability", "logit": "logit", "rank": "rank", "power": "power"}
FITTED_METHODS = ("hill_climbing", "nelder_mead")
METHODS = (*EQUAL_METHODS, *FITTED_METHODS)


@dataclass(frozen=True)
class BlendOptions:
    """How weights are fitted and judged.

    Attributes:
        average: the scale on which the fitted methods average, one of ``averaging.AVERAGES``.
        power: the exponent of the power mean.
        negative: whether fitted weights may be below zero.
        step: the weight that a step of hill climbing adds.
        by_column: whether each label column has weights of its own.
        draws: the number of bootstrap samples for the interval of the gain; 0: no interval.
        seed: the seed of the bootstrap.
    """

    average: str = "probability"
    power: float = 3.5
    negative: bool = False
    step: float = 0.1
    by_column: bool = False
    draws: int = 200
    seed: int = 42

    def average_of(self, method: str) -> str:
        """The scale on which a method averages."""
        return EQUAL_METHODS.get(method, self.average)
