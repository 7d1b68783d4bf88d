"""One optimizer step, which the loop in fold.py repeats, in the order in which things happen."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from auxfold.config import Train
from auxfold.data.batches import split_by_packed_tokens, split_by_tokens
from auxfold.data.dataset import TokenizedDataset
from auxfold.model.multitask import MultiTaskModel
from auxfold.training.objective import Objective, StepLoss
from auxfold.training.optimizer import guarded_step
from auxfold.training.schedule import LearningRateSchedule
from auxfold.training.step_log import StepLog, StepResult
from auxfold.training.weighting.task_weighting import TaskWeighting


@dataclass
class StepTrainer:
    """Everything that an optimizer step needs; :func:`training.build.build_fold` makes it.

    Attributes:
        model: prepared by accelerate.
        optimizer: prepared by accelerate.
        schedule: the learning rate, which moves with every step that is taken.
        objective: gives the loss of each step.
        weighting: the task weights that adapt.
        dataset: the tokens of the table's rows.
        swapped: ``(rows,)`` bool, the rows whose two texts are swapped in this epoch, or None.
        max_tokens: the most tokens of a micro-batch.
        padding_free: whether the backbone runs on packed tokens.
        log: what the latest steps gave.
    """

    accelerator: Accelerator
    model: torch.nn.Module
    optimizer: AcceleratedOptimizer
    schedule: LearningRateSchedule
    objective: Objective
    weighting: TaskWeighting
    dataset: TokenizedDataset
    settings: Train
    max_tokens: int
    swapped: np.ndarray | None = None
    padding_free: bool = False
    log: StepLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = StepLog(list(self.objective.cells), self.accelerator.device)

    @property
    def unwrapped_model(self) -> MultiTaskModel:
        """The model without what accelerate wraps around it."""
        return self.accelerator.unwrap_model(self.model)

    def train_step(self, indices: np.ndarray) -> StepResult:
        """One optimizer step over these rows: weight the cells, add up micro-batches, clip, update.

        The host reads no value of the device. A step whose losses or gradient are not finite leaves
        everything that is trained as it was.
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
        is_taken = self.update(losses, step_loss)
        self.weighting.end_step()
        if self.weighting.needs_loss_after_step and is_taken:
            self.weighting.after_step(self.losses_without_gradient(indices))
        return self.log.add(indices, step_loss.present)

    def update(self, losses: dict[str, torch.Tensor], step_loss: StepLoss) -> torch.Tensor:
        """Clip the gradient, and move parameters and schedule; whether the step was taken.

        Args:
            losses: the step's loss per task over all processes.
            step_loss: knows which heads have a gradient.
        """
        step_loss.clear_absent_heads(self.unwrapped_model.heads)
        grad_norm = self.clip_gradients()
        is_finite = torch.stack([*losses.values(), grad_norm]).isfinite().all()
        self.weighting.learn(losses, is_finite)
        divisor = self.clip_divisor(grad_norm) if self.clips_in_step else None
        guarded_step(self.optimizer, is_finite, divisor)
        self.optimizer.zero_grad()
        is_taken = is_finite
        if self.optimizer.scaler is not None:  # which decides by the unscaled gradient alone
            is_taken = is_finite.new_tensor(not self.accelerator.optimizer_step_was_skipped)
        self.schedule.advance(is_taken)
        self.log.write(losses, grad_norm, is_finite, self.schedule.rates[0])
        return is_taken

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
        return self.losses(step_loss, self.model(**self.batch(indices)), indices)

    def losses(
        self,
        step_loss: StepLoss,
        logits: dict[str, torch.Tensor],
        indices: np.ndarray | torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """What the logits of one micro-batch add to each task's loss."""
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

    def batch(self, indices: np.ndarray) -> dict[str, Any]:
        """The tokens of a micro-batch on the device, as the model reads them."""
        swapped, device = self.swapped_at(indices), self.accelerator.device
        if self.padding_free:
            return {"packed": self.dataset.packed(indices, swapped).to(device)}
        batch = self.dataset.batch(indices, swapped)
        return {name: values.to(device) for name, values in batch.items()}

    def swapped_at(self, indices: np.ndarray) -> np.ndarray | bool:
        """Which of these rows have their two texts swapped."""
        return False if self.swapped is None else self.swapped[indices]

    def micro_batches(self, indices: np.ndarray, process: int | None = None) -> list[np.ndarray]:
        """The rows of a step that a process (by default this one) has, cut by the token budget."""
        process = self.accelerator.process_index if process is None else process
        share = indices[process :: self.accelerator.num_processes]
        if len(share) == 0:
            # More processes than rows: this one joins the gradient exchange with a muted loss.
            return [indices[:1]]
        split = split_by_packed_tokens if self.padding_free else split_by_tokens
        return split(share, self.dataset.lengths(), self.max_tokens)

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

    @property
    def clips_in_step(self) -> bool:
        """Whether the optimizer's step divides the gradient, rather than a pass of its own."""
        return self.accelerator.device.type == "cuda" and self.optimizer.scaler is None

    @property
    def norm_limit(self) -> float:
        """The norm at which the gradient is clipped; infinite where it is not."""
        return self.settings.max_grad_norm or float("inf")

    def clip_divisor(self, grad_norm: torch.Tensor) -> torch.Tensor:
        """What the gradient is divided by, so that its norm is at most ``max_grad_norm``."""
        # As in torch.nn.utils.clip_grad_norm_.
        return ((grad_norm + 1e-6) / self.norm_limit).clamp(min=1.0)

    def clip_gradients(self) -> torch.Tensor:
        """Clip to ``max_grad_norm``; the norm before. Accelerate unscales fp16 gradients first."""
        if self.clips_in_step:
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            return torch.nn.utils.get_total_norm(gradients)
        return self.accelerator.clip_grad_norm_(self.model.parameters(), self.norm_limit)


def add(
    totals: dict[str, torch.Tensor], values: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The totals with values added, without their graphs."""
    return {
        name: totals[name] + value.detach() if name in totals else value.detach()
        for name, value in values.items()
    }
