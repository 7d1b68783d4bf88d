"""The tasks' weights in training: what is measured, where it acts, and what is told of it.

Weights are constant within one optimizer step, so that its gradient is that of the one big batch
however it is cut. Every head reads the features through an identity of its own: the gradient
that arrives there in the ordinary backward pass is that of its task alone. It is looked at, and
scaled where a method acts on the backbone only; there is no pass more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from auxfold.config.experiment import Experiment
from auxfold.model.multitask import MultiTaskModel
from auxfold.training.weighting.gram import Gram, RunningGram
from auxfold.training.weighting.methods import Dwa, Famo, GradNorm, Method, StepLosses, Uncertainty
from auxfold.training.weighting.surgery import MainFirst, Surgery

METHODS: dict[str, type[Method]] = {
    "fixed": Method,
    "uncertainty": Uncertainty,
    "dwa": Dwa,
    "gradnorm": GradNorm,
    "famo": Famo,
    "main_first": MainFirst,
    "pcgrad": Surgery,
    "cagrad": Surgery,
    "upgrad": Surgery,
}


class Means:
    """Means of named numbers over the steps in which each is known."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, values: dict[str, float]) -> None:
        """One step's values; NaN: not known."""
        for name, value in values.items():
            if not math.isnan(value):
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.__init__()
        return means


class TaskWeighting:
    """The ``[task_weighting]`` of one fold's training, asked by the loop around every step.

    With one task alone it does and measures nothing.

    Args:
        experiment: its tasks, their weights and its ``[task_weighting]`` section.
        accelerator: knows the other processes and fp16's loss scale.

    Attributes:
        factors: task name to what its loss is multiplied by in this step; None where a method
            leaves the loss alone.
    """

    def __init__(self, experiment: Experiment, accelerator: Accelerator) -> None:
        self.settings, self.train, self.accelerator = (
            experiment.task_weighting, experiment.train, accelerator,
        )  # fmt: skip
        self.names = [task.name for task in experiment.tasks]
        self.main = self.names.index(experiment.main_task.name)
        self.weights = torch.tensor([t.weight for t in experiment.tasks], dtype=torch.float64)
        self.active = len(self.names) > 1
        self.running = RunningGram(len(self.names), self.settings.ema_decay)
        self.method = self._method()
        self.factors: dict[str, float] | None = None
        self.steps = 0
        self._point, self._record = Means(), Means()
        self._gradients: dict[str, torch.Tensor] = {}

    def _method(self) -> Method:
        method = METHODS[self.settings.method if self.active else "fixed"]
        made = method(self.settings, self.weights, self.main, self.running)
        for parameter in made.parameters():
            parameter.data = parameter.data.to(self.accelerator.device)
        return made

    def group(self) -> dict[str, Any] | None:
        """The optimizer group of what the method learns: no decay, the heads' rate by default."""
        parameters = self.method.parameters()
        heads = self.train.head_learning_rate or self.train.learning_rate
        rate = self.settings.learning_rate or heads
        return {"params": parameters, "lr": rate, "weight_decay": 0.0} if parameters else None

    def begin(self, scales: dict[str, np.ndarray]) -> None:
        """A step begins: its factors stand from here on.

        Args:
            scales: what the objective multiplies cells by; all zero where a task has no label.
        """
        if not self.active:
            return
        self._factors = self.method.factors()
        named = dict(zip(self.names, self._factors.tolist(), strict=True))
        plain = self.method.at_features or self.settings.method == "fixed"
        self.factors = None if plain else named
        self._at_features = named if self.method.at_features else None
        # Every record has something to tell, however few steps lie between two evaluations.
        fresh = not any(name.startswith("gradient_norm/") for name in self._record.sums)
        due = fresh or self.steps % self.settings.log_every == 0
        self.measuring = due or self.method.every_step
        self._present = torch.tensor([bool(np.any(scales[name])) for name in self.names])
        self._gram = Gram.zeros(len(self.names))

    @contextmanager
    def watching(self, model: MultiTaskModel) -> Iterator[None]:
        """Around the forward and backward pass of one micro-batch."""
        if not self.active or not (self.measuring or self._at_features):
            yield
            return
        self._gradients, model.tap = {}, self._tap
        try:
            yield
        finally:
            model.tap = None
        if self.measuring and len(self._gradients) == len(self.names):
            gradients = torch.stack([self._gradients[name] for name in self.names])
            made = Gram.of(gradients.detach())
            self._gram += Gram(made.products.cpu().double(), made.shared.cpu().double())
        self._gradients = {}

    def _tap(self, name: str, features: torch.Tensor) -> torch.Tensor:
        """An identity whose gradient is the task's own."""
        if not features.requires_grad:  # a backbone that is not trained at all
            return features

        def arrived(gradient: torch.Tensor) -> torch.Tensor | None:
            before = self._gradients.get(name)  # several dropout masks: one after the other
            self._gradients[name] = gradient if before is None else before + gradient
            return None if self._at_features is None else gradient * self._at_features[name]

        tapped = features.view_as(features)
        tapped.register_hook(arrived)
        return tapped

    def end(self, losses: dict[str, torch.Tensor]) -> None:
        """The step's backward passes are done and clipped; the optimizer's step comes next.

        Args:
            losses: the step's loss per task, ``task.weight`` included, of all processes.
        """
        if not self.active:
            return
        seen = self._seen(losses)
        told = self._named("weight", self.weights * self._factors)
        if self.measuring:
            told |= self._measured()
        if (objective := self.method.objective(seen.losses)) is not None:
            told["objective"] = objective
        self._point.add(told)
        self._record.add(told)
        self.method.learn(seen)
        self._before = seen
        self.steps += 1

    def _measured(self) -> dict[str, float]:
        """The step's Gram matrix into the running mean, its norms and cosines as named numbers."""
        gram, accelerator = self._gram, self.accelerator
        if accelerator.num_processes > 1:
            told = torch.stack([gram.products, gram.shared]).to(accelerator.device)
            gram = Gram(*accelerator.reduce(told, reduction="sum").cpu())
        # Back from the gradient of the scaled, weighted loss to that of the task's own part.
        scale = 1.0 if accelerator.scaler is None else accelerator.scaler.get_scale()
        factors = torch.ones_like(self._factors) if self.factors is None else self._factors
        gram = gram.scaled(1.0 / (factors * scale * accelerator.num_processes))
        if not gram.products.isfinite().all():  # fp16 overflowed, and the step will be skipped
            return {}
        self.running.add(gram, self._present)
        absent = ~self._present
        norms = gram.norms().masked_fill(absent, float("nan"))
        cosines = gram.cosines()[self.main].masked_fill(absent, float("nan"))
        cosines[self.main] = float("nan")  # to itself: nothing to tell
        return self._named("gradient_norm", norms) | self._named("cosine", cosines)

    def look_again(self, losses: dict[str, torch.Tensor]) -> None:
        """The losses of the step's rows after the optimizer's step."""
        self.method.look_again(self._before, self._seen(losses))

    @property
    def wants_second_look(self) -> bool:
        """Whether :meth:`look_again` is to be called after the optimizer's step."""
        return self.method.second_look

    def epoch_done(self) -> None:
        """After an epoch's last step."""
        self.method.epoch_done()

    def point(self) -> dict[str, float]:
        """``weight/<task>``, ``gradient_norm/<task>`` and ``cosine/<task>`` since the last call."""
        return self._point.take()

    def record(self) -> dict[str, Any]:
        """The same since the last evaluation, as ``{"weight": {task: …}, …}``."""
        told: dict[str, Any] = {}
        for name, value in self._record.take().items():
            what, slash, task = name.partition("/")
            if slash:
                told.setdefault(what, {})[task] = value
            else:
                told[what] = value
        return told

    def state_dict(self) -> dict[str, Any]:
        """To resume from."""
        return {
            "steps": self.steps,
            "method": self.method.state_dict(),
            "running": self.running.state_dict(),
            "record": (self._record.sums, self._record.counts),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self.steps = state["steps"]
        self.method.load_state_dict(state["method"])
        self.running.load_state_dict(state["running"])
        self._record.sums, self._record.counts = state["record"]

    def _seen(self, losses: dict[str, torch.Tensor]) -> StepLosses:
        values = torch.stack([losses[name] for name in self.names]).cpu().double()
        return StepLosses(torch.where(self._present, values / self.weights, 0.0), self._present)

    def _named(self, what: str, values: torch.Tensor) -> dict[str, float]:
        pairs = zip(self.names, values.tolist(), strict=True)
        return {f"{what}/{name}": value for name, value in pairs}
