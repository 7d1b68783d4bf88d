"""Methods that act on the backbone alone: at the features, by the tasks' gradients there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from auxfold.config import TaskWeightingSettings
from auxfold.errors import InputError
from auxfold.training.weighting.methods import Method, StepLosses


class MainFirst(Method):
    """Cosine to the main task (Du et al. 2018): an auxiliary helps as far as it agrees.

    Factors at the features: the positive part of the cosine between a task's gradient and the
    main task's, of the running Gram matrix, over the rows that both label; 1 for the main task,
    and for a task that has shared no row with it so far.
    """

    at_features = True
    every_step = True

    def factors(self) -> torch.Tensor:
        cosines = self.gram.mean().cosines()[:, self.main]
        factors = torch.where(cosines.isfinite(), cosines.clamp(min=0), 1.0)
        factors[self.main] = 1.0
        return factors


class Surgery(Method):
    """Gradient surgery at the features, as weightings of the running Gram matrix by ``torchjd``.

    ``pcgrad`` (Yu et al. 2020), ``cagrad`` (Liu et al. 2021) and ``upgrad`` (Quinton and Rey
    2024). Without a conflict ``pcgrad`` and ``upgrad`` leave every factor at one.
    """

    at_features = True
    every_step = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._weigh = _weighting(self.settings)
        self.state |= {"factors": self._vector(1.0), "steps": torch.zeros(1, dtype=torch.int64)}

    def factors(self) -> torch.Tensor:
        return self.state["factors"].clone()

    def learn(self, seen: StepLosses) -> None:
        self.state["steps"] += 1
        products = self.gram.mean().products
        known = products.diagonal() > 0
        if known.sum() < 2:
            return
        gram = _semidefinite(products[known][:, known].nan_to_num(0.0))
        # pcgrad draws orders: of its own stream, the same in every process and after resuming.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(self.state["steps"]))  # not CUDA's
            self.state["factors"][known] = self._weigh(gram)


def _semidefinite(products: torch.Tensor) -> torch.Tensor:
    """The nearest matrix that is a Gram matrix, at trace one.

    Pairs of tasks are seen in different steps, so that a running mean need not be one; and
    torchjd takes matrices of small trace for zero.
    """
    values, vectors = torch.linalg.eigh(products)
    positive = (vectors * values.clamp(min=0)) @ vectors.T
    return positive / positive.trace()


def _weighting(settings: TaskWeightingSettings) -> Callable[[torch.Tensor], torch.Tensor]:
    """Gram matrix to factors, by ``torchjd``; imported only here, since no other method needs it.

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
            return lambda gram: len(gram) * inner(gram)  # it weighs a mean of tasks, not their sum
        aggregation.UPGradWeighting()  # says at the start what it lacks
        return lambda gram: aggregation.UPGradWeighting(torch.ones(len(gram)).to(gram))(gram)
    except ImportError:
        raise InputError(
            f"task_weighting.method = {settings.method!r} needs torchjd: "
            f'pip install "torchjd{extra}>=0.18,<1"'
        ) from None
