"""Around every optimizer step: what the task weights are, what is measured, and what is logged.

Weights are constant within one optimizer step, so that its gradient is that of the one big batch
however it is divided. Every head reads the features through an identity of its own. The gradient
that arrives there in the ordinary backward pass is the gradient of that head's task only. It is
measured there, and scaled where a method acts on the features. No further pass is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from auxfold.config.experiment import Experiment
from auxfold.model.multitask import MultiTaskModel
from auxfold.training.weighting.gram import Gram, RunningGram
from auxfold.training.weighting.method import StepLosses, WeightingMethod
from auxfold.training.weighting.methods import METHODS


class RunningMeans:
    """Means of named numbers, each over the steps in which it is known."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, values: dict[str, float]) -> None:
        """Add the values of one step; NaN means unknown."""
        for name, value in values.items():
            if not math.isnan(value):
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def pop(self) -> dict[str, float]:
        """The means since the last call."""
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means


@dataclass(frozen=True)
class StepValues:
    """What a step adds to the means; its gradients are still on the device.

    Attributes:
        values: the weights by name.
        present: ``(tasks,)`` bool, which tasks had a label in the step.
        gram: the gradients at the features, of the scaled and weighted losses; None where they
            were not measured.
    """

    values: dict[str, float]
    present: torch.Tensor
    gram: Gram | None


class TaskWeighting:
    """The ``[task_weighting]`` of one fold's training, called by the loop around every step.

    With a single task it does and measures nothing.

    Args:
        experiment: gives the tasks, their weights and the ``[task_weighting]`` section.
        accelerator: gives the device, the other processes and the loss scale of fp16.

    Attributes:
        method: decides the factors.
        running: the running mean of the Gram matrices.
    """

    def __init__(self, experiment: Experiment, accelerator: Accelerator) -> None:
        self.settings, self.accelerator = experiment.task_weighting, accelerator
        self.names = [task.name for task in experiment.tasks]
        self.main = self.names.index(experiment.main_task.name)
        self.weights = torch.tensor([t.weight for t in experiment.tasks], dtype=torch.float64)
        self.is_active = len(self.names) > 1
        train = experiment.train
        self._learning_rate = (
            self.settings.learning_rate or train.head_learning_rate or train.learning_rate
        )
        self.running = RunningGram(len(self.names), self.settings.ema_decay)
        self.method = self._make_method()
        # What holds for the step at hand.
        self._factors = torch.ones(len(self.names), dtype=torch.float64)
        self._loss_factors: dict[str, float] | None = None
        self._feature_factors: dict[str, float] | None = None
        self._is_measured = False
        self._present = torch.ones(len(self.names), dtype=torch.bool)
        self._gram = self._no_gram()
        self._gradients: dict[str, torch.Tensor] = {}
        self._losses: StepLosses | None = None
        self._values: dict[str, float] = {}
        # What the log and the record of an evaluation show.
        self._steps = 0
        self._log_means, self._eval_means = RunningMeans(), RunningMeans()
        self._is_measured_since_eval = False
        self._unread: list[StepValues] = []

    def _make_method(self) -> WeightingMethod:
        method_class = METHODS[self.settings.method if self.is_active else "fixed"]
        method = method_class(self.settings, self.weights, self.main, self.running)
        for parameter in method.parameters():
            parameter.data = parameter.data.to(self.accelerator.device)
        return method

    def parameter_group(self) -> dict[str, Any] | None:
        """The optimizer group of what the method learns: no decay, by default the heads' rate."""
        parameters = self.method.parameters()
        group = {"params": parameters, "lr": self._learning_rate, "weight_decay": 0.0}
        return group if parameters else None

    def start_step(self, present: list[bool]) -> None:
        """Fix the factors of the step that starts.

        Args:
            present: for each task whether it has a label in the step.
        """
        if not self.is_active:
            return
        self._factors = self.method.factors()
        by_task = dict(zip(self.names, self._factors.tolist(), strict=True))
        leaves_loss = self.method.acts_on_features or self.settings.method == "fixed"
        self._loss_factors = None if leaves_loss else by_task
        self._feature_factors = by_task if self.method.acts_on_features else None
        # Every record has gradients to show, however few steps lie between two evaluations.
        is_due = not self._is_measured_since_eval or self._steps % self.settings.log_every == 0
        self._is_measured = is_due or self.method.measures_every_step
        self._is_measured_since_eval |= self._is_measured
        self._present = torch.tensor(present)
        self._gram = self._no_gram()

    def discard_gradients(self) -> None:
        """Forget what was measured in the step at hand, which is going to be repeated."""
        self._gram, self._gradients = self._no_gram(), {}

    @contextmanager
    def capture_gradients(self, model: MultiTaskModel) -> Iterator[None]:
        """Around the forward and backward pass of one micro-batch."""
        if not self.is_active or not (self._is_measured or self._feature_factors):
            yield
            return
        self._gradients, model.feature_hook = {}, self._hook_features
        try:
            yield
        finally:
            model.feature_hook = None
        if self._is_measured and len(self._gradients) == len(self.names):
            gradients = torch.stack([self._gradients[name] for name in self.names])
            self._gram += Gram.from_gradients(gradients.detach()).double()
        self._gradients = {}

    def _hook_features(self, task: str, features: torch.Tensor) -> torch.Tensor:
        """An identity of the features, at which only the gradient of one task arrives."""
        if not features.requires_grad:  # nothing in the backbone is trained
            return features

        def capture(gradient: torch.Tensor) -> torch.Tensor | None:
            before = self._gradients.get(task)  # several dropout masks arrive one after the other
            self._gradients[task] = gradient if before is None else before + gradient
            if self._feature_factors is None:
                return None
            return gradient * self._feature_factors[task]

        identity = features.view_as(features)
        identity.register_hook(capture)
        return identity

    def total(self, losses: dict[str, torch.Tensor]) -> torch.Tensor:
        """The sum of the tasks' losses, each times the factor of the step."""
        factors = self._loss_factors
        weighted = losses if factors is None else {k: factors[k] * v for k, v in losses.items()}
        return torch.stack(list(weighted.values())).sum()

    def learn(self, losses: dict[str, torch.Tensor], is_finite: torch.Tensor) -> None:
        """Measure and learn, after the last backward pass and before the optimizer's step.

        With ``fixed`` weights there is nothing to do. A method that learns makes the host wait for
        the device, and learns nothing from a step that is not finite.

        Args:
            losses: the step's loss per task over all processes, ``task.weight`` included.
            is_finite: bool scalar, whether the step is taken.
        """
        # All processes measure at the same point, and the scale of fp16 is that of this step.
        several = self.accelerator.num_processes > 1
        if self.is_measured and (not self.is_fixed or several or self.accelerator.scaler):
            self._values = self._measure_gradients(self._gram, self._present)
            self._is_measured = False
        if self.is_fixed:
            return
        self._losses = self._step_losses(losses) if is_finite else None
        if self._losses is not None:
            minimized = self.method.minimized_loss(self._losses.losses)
            self._values |= {} if minimized is None else {"objective": minimized}
            self.method.update(self._losses)

    def end_step(self, gram: Gram | None = None) -> None:
        """Count the step, after the optimizer's step.

        Args:
            gram: what a captured graph measured in this step; None: what was measured is known.
        """
        if not self.is_active:
            return
        gram = self._gram if gram is None else gram
        values = self._by_task("weight", self.weights * self._factors) | self._values
        is_unread = self._is_measured
        self._unread.append(StepValues(values, self._present, gram if is_unread else None))
        self._values = {}
        self._steps += 1

    @property
    def is_measured(self) -> bool:
        """Whether the gradients of the tasks are measured in the step at hand."""
        return self.is_active and self._is_measured

    @property
    def gram(self) -> Gram:
        """The Gram matrix of the step at hand, on the device."""
        return self._gram

    @property
    def is_fixed(self) -> bool:
        """Whether the weights stay as they are, so that no step depends on the one before."""
        return not self.is_active or self.settings.method == "fixed"

    def read_step(self) -> None:
        """Count the earliest step that was not counted yet; the host waits for its gradients."""
        if self._unread:
            step = self._unread.pop(0)
            values = dict(step.values)
            if step.gram is not None:
                values |= self._measure_gradients(step.gram, step.present)
            self._log_means.add(values)
            self._eval_means.add(values)

    def _read_all_steps(self) -> None:
        while self._unread:
            self.read_step()

    def _measure_gradients(self, gram: Gram, present: torch.Tensor) -> dict[str, float]:
        """Add a step's Gram matrix to the running mean; its norms and cosines by name."""
        accelerator = self.accelerator
        if accelerator.num_processes > 1:
            tensors = torch.stack([gram.products, gram.shared])
            gram = Gram(*accelerator.reduce(tensors, reduction="sum"))
        # From the gradient of the scaled, weighted loss back to that of the task's own loss.
        scale = 1.0 if accelerator.scaler is None else accelerator.scaler.get_scale()
        factors = torch.ones_like(self._factors) if self._loss_factors is None else self._factors
        gram = gram.cpu().scale(1.0 / (factors * scale * accelerator.num_processes))
        if not gram.products.isfinite().all():  # fp16 overflowed, and the step will be skipped
            return {}
        self.running.add(gram, present)
        absent = ~present
        norms = gram.norms().masked_fill(absent, float("nan"))
        cosines = gram.cosines()[self.main].masked_fill(absent, float("nan"))
        cosines[self.main] = float("nan")  # to itself it is always one
        return self._by_task("gradient_norm", norms) | self._by_task("cosine", cosines)

    @property
    def needs_loss_after_step(self) -> bool:
        """Whether :meth:`after_step` must be called after the optimizer's step."""
        return self.is_active and self.method.needs_loss_after_step

    def after_step(self, losses: dict[str, torch.Tensor]) -> None:
        """Learn from the losses of the step's rows after the step, unless one is not finite."""
        after = self._step_losses(losses)
        if self._losses is not None and after.losses.isfinite().all():  # the step was taken
            self.method.after_step(self._losses, after)

    def finish_epoch(self) -> None:
        """Called after the last step of an epoch."""
        self.method.finish_epoch()

    def pop_log(self) -> dict[str, float]:
        """``weight/<task>``, ``gradient_norm/<task>`` and ``cosine/<task>`` since the last call."""
        self._read_all_steps()
        return self._log_means.pop()

    def pop_eval_summary(self) -> dict[str, Any]:
        """The same since the last evaluation, nested: ``{"weight": {task: …}, …}``."""
        self._read_all_steps()
        self._is_measured_since_eval = False
        summary: dict[str, Any] = {}
        for name, value in self._eval_means.pop().items():
            quantity, slash, task = name.partition("/")
            if slash:
                summary.setdefault(quantity, {})[task] = value
            else:
                summary[quantity] = value
        return summary

    def state_dict(self) -> dict[str, Any]:
        """The state from which :meth:`load_state_dict` continues."""
        self._read_all_steps()
        return {
            "steps": self._steps,
            "method": self.method.state_dict(),
            "running": self.running.state_dict(),
            "eval_means": (self._eval_means.sums, self._eval_means.counts),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self._steps = state["steps"]
        self.method.load_state_dict(state["method"])
        self.running.load_state_dict(state["running"])
        self._eval_means.sums, self._eval_means.counts = state["eval_means"]
        measured = (name.startswith("gradient_norm/") for name in self._eval_means.sums)
        self._is_measured_since_eval = any(measured)

    def _no_gram(self) -> Gram:
        return Gram.zeros(len(self.names), self.accelerator.device)

    def _step_losses(self, losses: dict[str, torch.Tensor]) -> StepLosses:
        values = torch.stack([losses[name] for name in self.names]).cpu().double()
        return StepLosses(torch.where(self._present, values / self.weights, 0.0), self._present)

    def _by_task(self, quantity: str, values: torch.Tensor) -> dict[str, float]:
        pairs = zip(self.names, values.tolist(), strict=True)
        return {f"{quantity}/{name}": value for name, value in pairs}
