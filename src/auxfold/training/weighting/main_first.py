"""``main_first``: an auxiliary task counts as far as its gradient agrees with the main task's."""

from __future__ import annotations

import torch

from auxfold.training.weighting.method import WeightingMethod


class MainFirst(WeightingMethod):
    """The cosine to the main task.

    The factors act on the features. Each is the positive part of the cosine between a task's
    gradient and the main task's, taken from the running Gram matrix over the rows that both tasks
    label. It is 1 for the main task, and for a task that has shared no row with it so far.

    Du et al. (2018), *Adapting Auxiliary Losses Using Gradient Similarity*.
    """

    acts_on_features = True
    measures_every_step = True

    def factors(self) -> torch.Tensor:
        cosines = self.gram.mean().cosines()[:, self.main]
        factors = torch.where(cosines.isfinite(), cosines.clamp(min=0), 1.0)
        factors[self.main] = 1.0
        return factors
