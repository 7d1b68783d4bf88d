"""``pcgrad``, ``cagrad`` and ``upgrad``: gradient surgery at the features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from auxfold.config import TaskWeightingSettings
from auxfold.errors import InputError
from auxfold.training.weighting.method import StepLosses, WeightingMethod


class Surgery(WeightingMethod):
    """Gradient surgery, as weightings of the running Gram matrix by ``torchjd``.

    Without a conflict ``pcgrad`` and ``upgrad`` leave every factor at one.

    ``pcgrad``: Yu et al. (2020), *Gradient Surgery for Multi-Task Learning*. ``cagrad``: Liu et al.
    (2021), *Conflict-Averse Gradient Descent for Multi-task Learning*. ``upgrad``: Quinton and Rey
    (2024), *Jacobian Descent for Multi-Objective Optimization*.
    """

    acts_on_features = True
    measures_every_step = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._factors_of_gram = _load_weighting(self.settings)
        self.state |= {"factors": self._vector(1.0), "steps": torch.zeros(1, dtype=torch.int64)}

    def factors(self) -> torch.Tensor:
        return self.state["factors"].clone()

    def update(self, step: StepLosses) -> None:
        self.state["steps"] += 1
        products = self.gram.mean().products
        known = products.diagonal() > 0
        if known.sum() < 2:
            return
        gram = _nearest_gram(products[known][:, known].nan_to_num(0.0))
        # pcgrad draws orders, from a stream that is the same in every process and after resuming.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(self.state["steps"]))  # not CUDA's
            self.state["factors"][known] = self._factors_of_gram(gram)


def _nearest_gram(products: torch.Tensor) -> torch.Tensor:
    """The nearest positive semidefinite matrix, scaled to trace one.

    Pairs of tasks meet in different steps, so that a running mean need not be a Gram matrix, and
    torchjd takes matrices of small trace for zero.
    """
    values, vectors = torch.linalg.eigh(products)
    positive = (vectors * values.clamp(min=0)) @ vectors.T
    return positive / positive.trace()


def _load_weighting(settings: TaskWeightingSettings) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function from Gram matrix to factors, from ``torchjd``, which only these methods need.

    Raises:
        InputError: torchjd, or what it needs for this method, is not installed.
    """
    extra = {"pcgrad": "", "upgrad": "[quadprog_projector]", "cagrad": "[cagrad]"}[settings.method]
    try:
        from torchjd import aggregation

        if settings.method == "pcgrad":
            return aggregation.PCGradWeighting()
        if settings.method == "cagrad":
            inner = aggregation.CAGradWeighting(c=settings.c)
            # It weights the mean of the tasks, not their sum.
            return lambda gram: len(gram) * inner(gram)
        aggregation.UPGradWeighting()  # raises now, at the start, if something is missing
        return lambda gram: aggregation.UPGradWeighting(torch.ones(len(gram)).to(gram))(gram)
    except ImportError:
        raise InputError(
            f"task_weighting.method = {settings.method!r} needs torchjd: "
            f'pip install "torchjd{extra}>=0.18,<1"'
        ) from None
