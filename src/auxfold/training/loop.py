"""One optimizer step, which the loop in fold.py repeats, in the order in which things happen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from auxfold.config import Train
from auxfold.data.dataset import TokenizedDataset
from auxfold.errors import InputError
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.out_of_memory import attempt
from auxfold.training.micro_batches import MicroBatchSplitter
from auxfold.training.objective import Objective, StepLoss
from auxfold.training.optimizer import guarded_step
from auxfold.training.schedule import LearningRateSchedule
from auxfold.training.step_log import StepLog, StepResult
from auxfold.training.weighting.task_weighting import TaskWeighting

Result = TypeVar("Result")


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
        windows: ``(rows,)`` int, the window of each row that this epoch trains on; None: every row
            has one window.
        splitter: cuts the rows of a step into micro-batches.
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
    splitter: MicroBatchSplitter
    swapped: np.ndarray | None = None
    windows: np.ndarray | None = None
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
        everything that is trained as it was. Where the GPU runs out of memory, the passes over the
        rows are repeated in smaller micro-batches.

        Raises:
            InputError: the step does not fit into the memory in any way.
        """
        self.weighting.start_step(list(self.objective.present(indices).values()))
        return self.run_started_step(indices)

    def run_started_step(self, indices: np.ndarray) -> StepResult:
        """The same, where the weighting has started the step already."""
        step_loss, losses = self.run_within_memory(indices, self.accumulate_gradients)
        losses = self.sum_over_processes(losses)
        is_taken = self.update(losses, step_loss)
        self.weighting.end_step()
        if self.weighting.needs_loss_after_step and is_taken:
            losses = self.run_within_memory(indices, self.losses_without_gradient)
            self.weighting.after_step(losses)
        return self.log.add(indices, step_loss.present)

    def accumulate_gradients(self, indices: np.ndarray) -> tuple[StepLoss, dict[str, torch.Tensor]]:
        """Run the micro-batches of a step forward and backward; its loss, per task as a value."""
        step_loss, micro_batches = self.prepare(indices)
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
        return step_loss, losses

    def run_within_memory(
        self, indices: np.ndarray, function: Callable[[np.ndarray], Result]
    ) -> Result:
        """Call a function of a step's rows, in ever smaller micro-batches until they fit.

        Args:
            indices: the rows of the step.
            function: makes its passes over :attr:`splitter`, and changes nothing but gradients
                and random states.
        """
        random_states = get_random_states(self.accelerator.device)
        while (result := attempt(lambda: function(indices))) is None:
            self.halve_micro_batches(indices, random_states)
        return result

    def halve_micro_batches(self, indices: np.ndarray, random_states: list[torch.Tensor]) -> None:
        """Prepare to repeat a step that ran out of memory, and remember the smaller size.

        Args:
            indices: the rows of the step.
            random_states: of :func:`get_random_states` before the step.

        Raises:
            InputError: there is nothing left to halve, or other processes wait for this one.
        """
        self.splitter.halve(indices)
        self.optimizer.zero_grad()
        self.weighting.discard_gradients()
        set_random_states(self.accelerator.device, random_states)

    def update(self, losses: dict[str, torch.Tensor], step_loss: StepLoss) -> torch.Tensor:
        """Clip the gradient, and move parameters and schedule; whether the step was taken.

        Args:
            losses: the step's loss per task over all processes.
            step_loss: knows which heads have a gradient.

        Raises:
            InputError: the GPU runs out of memory, in what cannot be repeated.
        """
        is_taken = attempt(lambda: self._update(losses, step_loss))
        if is_taken is None:
            raise InputError(
                "the GPU has too little memory for the moments of the optimizer; take a smaller "
                "backbone or an adapter, or free the GPU (the last saved state is kept)"
            )
        return is_taken

    def _update(self, losses: dict[str, torch.Tensor], step_loss: StepLoss) -> torch.Tensor:
        step_loss.clear_absent_heads(self.unwrapped_model.heads)
        grad_norm = self.clip_gradients()
        is_finite = torch.stack([*losses.values(), grad_norm]).isfinite().all()
        self.weighting.learn(losses, is_finite)
        divisor = self.clip_divisor(grad_norm) if self.clips_in_step else None
        guarded_step(self.optimizer, is_finite, divisor)
        self.optimizer.zero_grad()
        self.schedule.advance(is_finite)
        self.log.write(losses, grad_norm, is_finite, self.schedule.rates[0])
        return is_finite

    def prepare(self, indices: np.ndarray) -> tuple[StepLoss, list[np.ndarray]]:
        """The loss of a step, and this process's rows of it as micro-batches."""
        step_loss, micro_batches = self.objective.for_step(indices), self.splitter.split(indices)
        if self.accelerator.process_index >= len(indices):
            step_loss.mute()
        if step_loss.needs_means and self.splitter.cuts(indices):
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
        swapped, windows = self.swapped_at(indices), self.windows_at(indices)
        device = self.accelerator.device
        if self.splitter.padding_free:
            packed = self.dataset.packed(indices, swapped, windows=windows)
            return {"packed": packed.to(device)}
        batch = self.dataset.batch(indices, swapped, windows)
        return {name: values.to(device) for name, values in batch.items()}

    def swapped_at(self, indices: np.ndarray) -> np.ndarray | bool:
        """Which of these rows have their two texts swapped."""
        return False if self.swapped is None else self.swapped[indices]

    def windows_at(self, indices: np.ndarray) -> np.ndarray | int:
        """Which windows of these rows this epoch trains on."""
        return 0 if self.windows is None else self.windows[indices]

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


def get_random_states(device: torch.device) -> list[torch.Tensor]:
    """The states of the generators that a pass on this device draws from."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def set_random_states(device: torch.device, states: list[torch.Tensor]) -> None:
    """Go back to :func:`get_random_states`."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
