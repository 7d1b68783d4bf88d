"""Inner products of the tasks' gradients at the pooled features, of a step and in running mean.

The features of every row are variables of their own, so that inner products over rows add up:
a step's micro-batches and processes give the matrix of the one big batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class Gram:
    """What the gradients of a step have to do with each other.

    Attributes:
        products: ``(tasks, tasks)`` inner products of the gradients; their squared norms on the
            diagonal.
        shared: ``(tasks, tasks)``; ``[a, b]`` is the squared norm of a's gradient over the rows
            that task b labels too. Rows that one of two tasks does not label are orthogonal by
            construction: counted in a cosine, they would tell of missing labels, not of conflict.
    """

    products: torch.Tensor
    shared: torch.Tensor

    @classmethod
    def zeros(cls, n_tasks: int) -> Gram:
        """Of no rows at all."""
        return cls(*torch.zeros(2, n_tasks, n_tasks, dtype=torch.float64))

    @classmethod
    def of(cls, gradients: torch.Tensor) -> Gram:
        """Of gradients ``(tasks, rows, hidden)``, on their device; an unlabelled row's is zero."""
        flat = gradients.flatten(1)
        norms = gradients.square().sum(dim=2)
        return cls(flat @ flat.T, norms @ (norms > 0).to(norms.dtype).T)

    def scaled(self, factors: torch.Tensor) -> Gram:
        """As if each task's gradient were multiplied by its factor ``(tasks,)``."""
        return Gram(
            self.products * torch.outer(factors, factors), self.shared * factors[:, None] ** 2
        )

    def __add__(self, other: Gram) -> Gram:
        return Gram(self.products + other.products, self.shared + other.shared)

    def norms(self) -> torch.Tensor:
        """``(tasks,)`` norms of the gradients."""
        return self.products.diagonal().clamp(min=0).sqrt()

    def cosines(self) -> torch.Tensor:
        """``(tasks, tasks)`` cosines over the rows that both label; NaN where there are none."""
        return (self.products / (self.shared * self.shared.T).sqrt()).clamp(-1, 1)


class RunningGram:
    """Running mean of Gram matrices over steps.

    A pair of tasks moves in the steps in which both have a label, and stays as it is in others.

    Args:
        n_tasks: rows and columns.
        memory: share of the old mean that a step leaves.
    """

    def __init__(self, n_tasks: int, ema_decay: float) -> None:
        self.ema_decay = ema_decay
        self.sums = Gram.zeros(n_tasks)
        self.seen = torch.zeros(n_tasks, n_tasks, dtype=torch.float64)

    def add(self, gram: Gram, present: torch.Tensor) -> None:
        """One step more; ``present`` ``(tasks,)`` says which tasks had a label in it."""
        pairs = torch.outer(present, present)
        new = (gram.products, gram.shared, torch.ones_like(self.seen))
        for place, value in zip(self._tensors(), new, strict=True):
            moved = self.ema_decay * place + (1 - self.ema_decay) * value
            place.copy_(torch.where(pairs, moved, place))

    def mean(self) -> Gram:
        """The mean, whose entries are NaN for pairs never seen together."""
        return Gram(self.sums.products / self.seen, self.sums.shared / self.seen)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """To resume from."""
        return dict(zip(("products", "shared", "seen"), self._tensors(), strict=True))

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from :meth:`state_dict`."""
        for name, place in self.state_dict().items():
            place.copy_(state[name])

    def _tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.sums.products, self.sums.shared, self.seen
