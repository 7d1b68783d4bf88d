"""One optimizer step, which the loop in fold.py repeats, in the order in which things happen."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from auxfold.config import Train
from auxfold.data.batches import split_by_tokens
from auxfold.data.dataset import TokenizedDataset
from auxfold.model.multitask import MultiTaskModel
from auxfold.training.objective import Objective, StepLoss
from auxfold.training.optimizer import guarded_step
from auxfold.training.weighting.task_weighting import TaskWeighting


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step gave, still on the device.

    Attributes:
        losses: the loss of each task with a label in the step, ``task.weight`` included.
        grad_norm: the norm of the gradient before clipping.
    """

    losses: dict[str, torch.Tensor]
    grad_norm: torch.Tensor

    def read(self) -> tuple[dict[str, float], float]:
        """The same as numbers, in one transfer."""
        values = torch.stack([*self.losses.values(), self.grad_norm]).tolist()
        return dict(zip(self.losses, values, strict=False)), values[-1]


@dataclass
class StepTrainer:
    """Everything that an optimizer step needs; :func:`training.build.build_fold` makes it.

    Attributes:
        model: prepared by accelerate.
        optimizer: prepared by accelerate.
        schedule: the learning rate, which moves with every step that is not skipped.
        objective: gives the loss of each step.
        weighting: the task weights that adapt.
        dataset: the tokens of the table's rows.
        swapped: ``(rows,)`` bool, the rows whose two texts are swapped in this epoch, or None.
    """

    accelerator: Accelerator
    model: torch.nn.Module
    optimizer: AcceleratedOptimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    objective: Objective
    weighting: TaskWeighting
    dataset: TokenizedDataset
    settings: Train
    swapped: np.ndarray | None = None

    @property
    def unwrapped_model(self) -> MultiTaskModel:
        """The model without what accelerate wraps around it."""
        return self.accelerator.unwrap_model(self.model)

    def train_step(self, indices: np.ndarray) -> StepResult:
        """One optimizer step over these rows: weight the cells, add up micro-batches, clip, update.

        No value of the device is read. A step whose losses or gradient are not finite leaves
        parameters and moments as they were.
        """
        step_loss, micro_batches = self.prepare(indices)
        self.weighting.start_step(list(step_loss.present.values()))
        losses: dict[str, torch.Tensor] = {}
        for number, batch_indices in enumerate(micro_batches, start=1):
            with (
                self.sync_gradients(is_last=number == len(micro_batches)),
                self.weighting.capture_gradients(self.unwrapped_model),
            ):
                task_losses = self.forward(step_loss, batch_indices)
                # Processes average their gradients; the objective is their sum.
                total = self.weighting.total(task_losses) * self.accelerator.num_processes
                self.accelerator.backward(total)
            losses = add(losses, task_losses)
        losses = self.sum_over_processes(losses)
        step_loss.clear_absent_heads(self.unwrapped_model.heads)
        grad_norm = self.clip_gradients()
        self.weighting.finish_step(losses)
        guarded_step(self.optimizer, is_finite(losses, grad_norm))
        self.optimizer.zero_grad()
        if not self.accelerator.optimizer_step_was_skipped:
            self.schedule.step()
            if self.weighting.needs_loss_after_step:
                self.weighting.after_step(self.losses_without_gradient(indices))
        present = {name: loss for name, loss in losses.items() if step_loss.present[name]}
        return StepResult(present, grad_norm)

    def prepare(self, indices: np.ndarray) -> tuple[StepLoss, list[np.ndarray]]:
        """The loss of a step, and this process's rows of it as micro-batches."""
        step_loss, micro_batches = self.objective.for_step(indices), self.micro_batches(indices)
        if self.accelerator.process_index >= len(indices):
            step_loss.mute()
        if step_loss.needs_means and self.has_micro_batches(indices):
            means = self.precompute_term_means(step_loss, micro_batches)
            step_loss.set_means(self.sum_over_processes(means))
        return step_loss, micro_batches

    def forward(self, step_loss: StepLoss, indices: np.ndarray) -> dict[str, torch.Tensor]:
        """What one micro-batch adds to each task's loss."""
        logits = self.model(**self.batch(indices))
        if step_loss.needs_means:  # a single micro-batch: its own logits give the means
            step_loss.set_means(self.sum_over_processes(step_loss.term_means(logits, indices)))
        return step_loss(logits, indices)

    @torch.no_grad()
    def losses_without_gradient(self, indices: np.ndarray) -> dict[str, torch.Tensor]:
        """The step's loss per task over all processes, from forward passes alone."""
        step_loss, micro_batches = self.prepare(indices)
        losses: dict[str, torch.Tensor] = {}
        for batch_indices in micro_batches:
            losses = add(losses, self.forward(step_loss, batch_indices))
        return self.sum_over_processes(losses)

    @torch.no_grad()
    def precompute_term_means(
        self, step_loss: StepLoss, micro_batches: list[np.ndarray]
    ) -> dict[str, torch.Tensor]:
        """This process's share of the means that ``metric_shaped`` losses depend on.

        Random states are restored, so that the passes that follow have the same dropout masks.
        """
        # Not the wrapped model, whose processes would have to make equally many passes.
        model, device = self.unwrapped_model, self.accelerator.device
        means: dict[str, torch.Tensor] = {}
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            for batch_indices in micro_batches:
                means = add(
                    means, step_loss.term_means(model(**self.batch(batch_indices)), batch_indices)
                )
        return means

    def batch(self, indices: np.ndarray) -> dict[str, torch.Tensor]:
        """The tokens of a micro-batch on the device."""
        swapped = False if self.swapped is None else self.swapped[indices]
        batch = self.dataset.batch(indices, swapped)
        return {name: values.to(self.accelerator.device) for name, values in batch.items()}

    def micro_batches(self, indices: np.ndarray, process: int | None = None) -> list[np.ndarray]:
        """The rows of a step that a process (by default this one) has, cut by the token budget."""
        process = self.accelerator.process_index if process is None else process
        share = indices[process :: self.accelerator.num_processes]
        if len(share) == 0:
            # More processes than rows: this one joins the gradient exchange with a muted loss.
            return [indices[:1]]
        return split_by_tokens(share, self.dataset.lengths(), self.settings.max_tokens_per_batch)

    def has_micro_batches(self, indices: np.ndarray) -> bool:
        """Whether some process has several micro-batches of a step.

        All processes must agree: they exchange numbers in the same order.
        """
        processes = range(self.accelerator.num_processes)
        return any(len(self.micro_batches(indices, process)) > 1 for process in processes)

    def sync_gradients(self, is_last: bool) -> AbstractContextManager[Any]:
        """Processes exchange gradients once per step, in its last micro-batch."""
        return nullcontext() if is_last else self.accelerator.no_sync(self.model)

    def sum_over_processes(self, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The sums of named tensors over all processes."""
        if self.accelerator.num_processes == 1:
            return values
        return self.accelerator.reduce(values, reduction="sum")

    def clip_gradients(self) -> torch.Tensor:
        """Clip to ``max_grad_norm``; the norm before. Accelerate unscales fp16 gradients first."""
        limit = self.settings.max_grad_norm or float("inf")
        return self.accelerator.clip_grad_norm_(self.model.parameters(), limit)


def add(
    totals: dict[str, torch.Tensor], values: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The totals with values added, without their graphs."""
    return {
        name: totals[name] + value.detach() if name in totals else value.detach()
        for name, value in values.items()
    }


def is_finite(losses: dict[str, torch.Tensor], grad_norm: torch.Tensor) -> torch.Tensor:
    """Bool scalar on the device: whether the losses and the gradient of a step are finite."""
    return torch.stack([*losses.values(), grad_norm]).isfinite().all()
