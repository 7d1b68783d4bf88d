"""Inner products of the tasks' gradients at the pooled features, of a step and as a running mean.

The features of different rows are different variables, so inner products over rows add up: the
micro-batches and processes of a step give the matrix of the one big batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class Gram:
    """Inner products of the gradients of a step.

    Attributes:
        products: ``(tasks, tasks)`` inner products of the gradients; the diagonal holds their
            squared norms.
        shared: ``(tasks, tasks)``; ``[a, b]`` is the squared norm of a's gradient over the rows
            that task b labels too. Rows that only one of two tasks labels are orthogonal by
            construction. In a cosine they would show missing labels, not a conflict.
    """

    products: torch.Tensor
    shared: torch.Tensor

    @classmethod
    def zeros(cls, n_tasks: int, device: torch.device | str = "cpu") -> Gram:
        """The matrix of no rows."""
        return cls(*torch.zeros(2, n_tasks, n_tasks, dtype=torch.float64, device=device))

    @classmethod
    def from_gradients(cls, gradients: torch.Tensor) -> Gram:
        """The matrix of gradients ``(tasks, rows, hidden)``; an unlabeled row's gradient is 0."""
        flat = gradients.flatten(1)
        norms = gradients.square().sum(dim=2)
        return cls(flat @ flat.T, norms @ (norms > 0).to(norms.dtype).T)

    def scale(self, factors: torch.Tensor) -> Gram:
        """The matrix after multiplying each task's gradient by its factor ``(tasks,)``."""
        return Gram(
            self.products * torch.outer(factors, factors), self.shared * factors[:, None] ** 2
        )

    def __add__(self, other: Gram) -> Gram:
        return Gram(self.products + other.products, self.shared + other.shared)

    def clone(self) -> Gram:
        """A copy of the matrix."""
        return Gram(self.products.clone(), self.shared.clone())

    def copy_(self, other: Gram) -> None:
        """Overwrite this matrix with another one."""
        self.products.copy_(other.products)
        self.shared.copy_(other.shared)

    def double(self) -> Gram:
        """The matrix in double precision."""
        return Gram(self.products.double(), self.shared.double())

    def cpu(self) -> Gram:
        """The matrix on the CPU, for which the host waits."""
        return Gram(self.products.cpu(), self.shared.cpu())

    def norms(self) -> torch.Tensor:
        """``(tasks,)`` norms of the gradients."""
        return self.products.diagonal().clamp(min=0).sqrt()

    def cosines(self) -> torch.Tensor:
        """``(tasks, tasks)`` cosines over the rows that both tasks label; NaN without such rows."""
        return (self.products / (self.shared * self.shared.T).sqrt()).clamp(-1, 1)


class RunningGram:
    """The running mean of Gram matrices over steps.

    The entry of two tasks moves only in the steps in which both have a label.

    Args:
        n_tasks: rows and columns.
        ema_decay: the share of the old mean that a step keeps.
    """

    def __init__(self, n_tasks: int, ema_decay: float) -> None:
        self.ema_decay = ema_decay
        self.sums = Gram.zeros(n_tasks)
        self.counts = torch.zeros(n_tasks, n_tasks, dtype=torch.float64)

    def add(self, gram: Gram, present: torch.Tensor) -> None:
        """Add one step; ``present`` ``(tasks,)`` says which tasks had a label in it."""
        pairs = torch.outer(present, present)
        values = (gram.products, gram.shared, torch.ones_like(self.counts))
        for average, value in zip(self._tensors(), values, strict=True):
            moved = self.ema_decay * average + (1 - self.ema_decay) * value
            average.copy_(torch.where(pairs, moved, average))

    def mean(self) -> Gram:
        """The mean; an entry is NaN where the two tasks have not met yet."""
        return Gram(self.sums.products / self.counts, self.sums.shared / self.counts)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The state from which :meth:`load_state_dict` continues."""
        return dict(zip(("products", "shared", "counts"), self._tensors(), strict=True))

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from :meth:`state_dict`."""
        for name, average in self.state_dict().items():
            average.copy_(state[name])

    def _tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.sums.products, self.sums.shared, self.counts
