"""How the tasks' weights adapt: the base of every ``task_weighting.method``, and those on the loss.

A method gives a factor per task, which is constant within an optimizer step and multiplies what
``task.weight`` has weighted already. On the loss it moves heads and backbone; at the features it
scales only what a task sends into the backbone, while its head goes on learning at full weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from auxfold.config import TaskWeightingSettings
from auxfold.training.weighting.gram import RunningGram

LEAST = 1e-3  # of gradnorm's weights: none is lost for good, and norms can be told apart


@dataclass(frozen=True)
class StepLosses:
    """What one optimizer step showed; all tensors ``(tasks,)`` float64 on the CPU.

    Attributes:
        losses: each task's loss, before ``task.weight`` and factor; meaningless where absent.
        present: which tasks had a label in the step.
    """

    losses: torch.Tensor
    present: torch.Tensor


class Method:
    """``fixed``, and the base of all others: every factor is one.

    Args:
        settings: the ``[task_weighting]`` section.
        weights: ``(tasks,)`` each ``task.weight``.
        main: the main task's place.
        gram: running mean of the steps' Gram matrices, of losses with ``task.weight``; only
            methods that measure in every step find something in it.
    """

    at_features = False  # where the factors act: on the features' gradient, or on the loss
    every_step = False  # whether the Gram matrix is needed of every step
    second_look = False  # whether the losses of a step's rows are wanted again after the step
    note = ""  # said once at the start

    def __init__(
        self, settings: TaskWeightingSettings, weights: torch.Tensor, main: int, gram: RunningGram
    ) -> None:
        self.settings, self.weights, self.main, self.gram = settings, weights, main, gram
        self.n = len(weights)
        self.state: dict[str, torch.Tensor] = {}

    def parameters(self) -> list[nn.Parameter]:
        """What the optimizer learns, without weight decay."""
        return []

    def factors(self) -> torch.Tensor:
        """``(tasks,)`` float64 on the CPU, for the step that begins."""
        return torch.ones(self.n, dtype=torch.float64)

    def learn(self, seen: StepLosses) -> None:
        """After a step's last backward pass, and before the optimizer's step."""

    def look_again(self, before: StepLosses, after: StepLosses) -> None:
        """The losses of the same rows before and after the optimizer's step."""

    def objective(self, losses: torch.Tensor) -> float | None:
        """The loss that is minimised, where it is not the sum of the tasks' parts."""
        return None

    def epoch_done(self) -> None:
        """After an epoch's last step."""

    def state_dict(self) -> dict[str, Any]:
        """To resume from."""
        return {name: value.detach().clone() for name, value in self.state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        with torch.no_grad():
            for name, value in self.state.items():
                value.copy_(state[name])

    def _running_losses(self, seen: StepLosses) -> torch.Tensor:
        """``(tasks,)`` running mean of the losses, of the steps in which a task has labels."""
        sums, counts = self.state["losses"], self.state["counts"]
        ema_decay = self.settings.ema_decay
        for place, new in ((sums, seen.losses), (counts, torch.ones_like(counts))):
            place.copy_(torch.where(seen.present, ema_decay * place + (1 - ema_decay) * new, place))
        return sums / counts

    def _vector(self, value: float) -> torch.Tensor:
        return torch.full((self.n,), value, dtype=torch.float64)


class Uncertainty(Method):
    """Homoscedastic uncertainty (Kendall, Gal and Cipolla 2018).

    Total: Σ task.weight · (exp(-s)·loss + s/2), with a learnt log-variance s per task. Factors are
    the exp(-s) of the step's start and the gradient of s is the closed form, so that micro-batches,
    processes and fp16's loss scale do not touch it; clipping leaves it out. ``task.weight`` stands
    before the bracket: within it, s would learn to undo it.
    """

    note = (
        "task_weighting.method = 'uncertainty': the loss that is minimised is sum of weight * (exp(-s) * "
        "loss + s / 2) and may be negative; the losses shown per task are without s"
    )

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.log_variances = nn.Parameter(torch.zeros(self.n))
        self.state["log_variances"] = self.log_variances

    def parameters(self) -> list[nn.Parameter]:
        return [self.log_variances]

    def factors(self) -> torch.Tensor:
        return torch.exp(-self._s())

    def learn(self, seen: StepLosses) -> None:
        slope = self.weights * (0.5 - self.factors() * seen.losses)
        # A task without a label in the step contributes exactly nothing, s/2 included.
        slope = torch.where(seen.present, slope, 0.0)
        self.log_variances.grad = slope.to(self.log_variances)

    def objective(self, losses: torch.Tensor) -> float:
        return float((self.weights * (self.factors() * losses + self._s() / 2)).sum())

    def _s(self) -> torch.Tensor:
        return self.log_variances.detach().cpu().double()


class Dwa(Method):
    """Dynamic weight average (Liu, Johns and Davison 2019), epoch by epoch.

    Factors are n · softmax(r / temperature), where r is a task's mean loss of the last epoch
    over that of the epoch before; 1 in the first two epochs.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.state |= {name: self._vector(0.0) for name in ("sums", "counts")}
        self.state |= {name: self._vector(float("nan")) for name in ("last", "before")}

    def factors(self) -> torch.Tensor:
        ratios = self.state["last"] / self.state["before"]
        known = ratios.isfinite()
        if not known.any():
            return super().factors()
        ratios = torch.where(known, ratios, 1.0)
        return self.n * torch.softmax(ratios / self.settings.temperature, dim=0)

    def learn(self, seen: StepLosses) -> None:
        self.state["sums"] += torch.where(seen.present, seen.losses, 0.0)
        self.state["counts"] += seen.present

    def epoch_done(self) -> None:
        self.state["before"].copy_(self.state["last"])
        self.state["last"].copy_(self.state["sums"] / self.state["counts"])
        self.state["sums"].zero_()
        self.state["counts"].zero_()


class GradNorm(Method):
    """GradNorm (Chen et al. 2018): tasks that have learnt less get larger gradients.

    Factors w go down the subgradient of Σ |w·g - mean(w·g)·r^alpha|, where g is the norm of a
    task's gradient at the features (running mean, without ``task.weight``, which would cancel) and
    r its loss over its first one, relative to the mean. Norms are divided by their mean, so that
    the rate means the same for every loss. Factors stay above zero and sum to the number of tasks.
    """

    every_step = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.state |= {"factors": self._vector(1.0), "first": self._vector(float("nan"))}
        self.state |= {name: self._vector(0.0) for name in ("losses", "counts")}

    def factors(self) -> torch.Tensor:
        return self.state["factors"].clone()

    def learn(self, seen: StepLosses) -> None:
        losses, first = self._running_losses(seen), self.state["first"]
        first.copy_(torch.where(first.isnan() & seen.present, seen.losses, first))
        norms = self.gram.mean().norms() / self.weights
        known = (first > 0) & (norms > 0) & norms.isfinite()
        if known.sum() < 2:
            return
        factors = self.state["factors"][known]
        weighted = factors * norms[known]
        rates = (losses / first)[known]
        target = weighted.mean() * (rates / rates.mean()) ** self.settings.alpha
        slope = torch.sign(weighted - target) * norms[known] / weighted.mean()
        moved = (factors - self.settings.rate * slope).clamp(min=LEAST)
        self.state["factors"][known] = moved * known.sum() / moved.sum()


class Famo(Method):
    """FAMO (Liu et al. 2023): every loss falls at about the same relative rate.

    Factors are z / loss, brought to sum to the number of tasks, with z = softmax(w); w goes up
    where a loss fell less over the last step than others did. The official code divides by the
    step's own losses; here it is their running mean, so that the factors stand before the first
    micro-batch. The losses after the step take a second look at its rows, without gradient.
    """

    second_look = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.logits = nn.Parameter(self._vector(0.0))
        rate = self.settings.rate
        self.optimizer = torch.optim.Adam([self.logits], lr=rate, weight_decay=1e-3)  # Algorithm 2
        self.state |= {"logits": self.logits, "losses": self._vector(0.0)}
        self.state["counts"] = self._vector(0.0)

    def factors(self) -> torch.Tensor:
        known = (self.state["counts"] > 0) & (self.weights > 0)
        factors = super().factors()
        if known.sum() < 2:
            return factors
        losses = self.state["losses"][known] / self.state["counts"][known]
        shares = torch.softmax(self.logits.detach()[known], dim=0) / (losses + 1e-8)
        factors[known] = known.sum() * shares / shares.sum()
        return factors

    def learn(self, seen: StepLosses) -> None:
        self._running_losses(seen)

    def look_again(self, before: StepLosses, after: StepLosses) -> None:
        fallen = (before.losses + 1e-8).log() - (after.losses + 1e-8).log()
        with torch.enable_grad():
            shares = torch.softmax(self.logits[before.present], dim=0)
            grads = torch.autograd.grad(shares, self.logits, fallen[before.present])
        self.logits.grad = grads[0]
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])
