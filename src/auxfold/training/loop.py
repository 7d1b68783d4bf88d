"""The training loop of one fold, read from top to bottom in the order in which things happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from auxfold.config.experiment import Experiment
from auxfold.data.batches import TokenizedDataset, cut_by_tokens, swap_mask
from auxfold.data.sampling import epoch_steps
from auxfold.errors import InputError
from auxfold.tasks.metrics import higher_is_better
from auxfold.training.checkpoint import Progress
from auxfold.training.objective import Objective
from auxfold.training.weighting.task_weighting import TaskWeighting


@dataclass
class Loop:
    """Everything one fold's training needs.

    Attributes:
        evaluate: gives the validation metrics of the current weights (``<task>/<metric>``);
            None when there is nothing to validate on.
        keep: called when the weights are those to keep, so far, or to average.
        save: called when the state should be written.
        on_step: told the progress and the rows of every finished step.
        on_evaluation: told the record of every evaluation.
        sources: which of several sources each training row is of; None where there is one.
        negatives: which training rows come to ``train.negative_sample_rate`` only; None: none.
        turned: of which rows the texts of a pair change places in this epoch.
        asked_to_stop: set from outside to end the loop after the current step and its evaluation.
    """

    experiment: Experiment
    accelerator: Accelerator
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    objective: Objective
    task_weighting: TaskWeighting
    rows: TokenizedDataset
    train_rows: np.ndarray
    progress: Progress
    metric: str
    evaluate: Callable[[], dict[str, float | None]] | None
    keep: Callable[[], None]
    save: Callable[[], None]
    on_step: Callable[[Progress, int], None]
    on_evaluation: Callable[[dict[str, Any]], None]
    sources: np.ndarray | None = None
    negatives: np.ndarray | None = None
    asked_to_stop: bool = False
    turned: np.ndarray | None = None

    def run(self) -> None:
        """Train until the last epoch or until early stopping.

        Raises:
            KeyboardInterrupt: asked to stop; the state is saved.
        """
        settings, progress = self.experiment.train, self.progress
        saved_at = time.monotonic()
        self.model.train()
        while progress.epoch < settings.epochs and not progress.stopped:
            steps = self.steps(progress.epoch)
            marks = evaluation_steps(len(steps), settings.evaluations_per_epoch)
            if self.rows.symmetric_pairs:
                seed = self.experiment.seed
                self.turned = swap_mask(len(self.rows), seed, progress.epoch)
            while progress.step < len(steps) and not progress.stopped:
                started = time.perf_counter()
                losses, norm = self.train_step(steps[progress.step])
                progress.seconds += time.perf_counter() - started
                self.count(losses, norm, len(steps[progress.step]))
                if progress.step in marks:
                    self.evaluate_and_select(progress.step / len(steps))
                late = time.monotonic() - saved_at > 60 * settings.checkpoint_minutes
                if late or self.asked_to_stop:
                    self.save()
                    saved_at = time.monotonic()
                if self.asked_to_stop:
                    raise KeyboardInterrupt
            self.task_weighting.epoch_done()
            progress.epoch, progress.step = progress.epoch + 1, 0
            self.save()

    def steps(self, epoch: int) -> list[np.ndarray]:
        """The rows of every step of an epoch."""
        settings = self.experiment.train
        lengths = self.rows.lengths()[self.train_rows]
        seed = self.experiment.seed
        plan = epoch_steps(lengths, self.sources, settings, seed, epoch, self.negatives)
        return [self.train_rows[places] for places in plan]

    def train_step(self, step_rows: np.ndarray) -> tuple[dict[str, torch.Tensor], float]:
        """One optimizer step over all micro-batches of its rows.

        Returns:
            The step's weighted loss per task that has a label in it, and the gradient's norm
            before clipping.
        """
        accelerator = self.accelerator
        scales = self.objective.scales(step_rows)
        absent = [name for name, scale in scales.items() if not scale.any()]
        self.task_weighting.begin(scales)
        losses = self.losses_of(step_rows, scales, learn=True)
        total = sum(losses.values())
        if not torch.isfinite(total):
            raise InputError(
                f"the loss is {float(total)} at epoch {self.progress.epoch + 1}, step "
                f"{self.progress.step + 1}; lower train.learning_rate or set "
                f"train.precision = 'fp32' (the last saved state is kept)"
            )
        # No gradient rather than a zero one, for which AdamW would go on by momentum and decay.
        for name in absent:
            accelerator.unwrap_model(self.model).heads[name].zero_grad(set_to_none=True)
        # Accelerate unscales fp16 gradients before it clips.
        limit = self.experiment.train.max_grad_norm or float("inf")
        norm = float(accelerator.clip_grad_norm_(self.model.parameters(), limit))
        self.task_weighting.end(losses)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if not accelerator.optimizer_step_was_skipped:
            self.schedule.step()
            if self.task_weighting.wants_second_look:
                with torch.no_grad():
                    self.task_weighting.look_again(self.losses_of(step_rows, scales, learn=False))
        return {name: loss for name, loss in losses.items() if name not in absent}, norm

    def losses_of(
        self, step_rows: np.ndarray, scales: dict[str, np.ndarray], learn: bool
    ) -> dict[str, torch.Tensor]:
        """The step's weighted loss per task, over all micro-batches and processes.

        Args:
            step_rows: the rows of the step.
            scales: what the objective gave for them.
            learn: run backward, so that the gradients add up.
        """
        accelerator, bare = self.accelerator, self.accelerator.unwrap_model(self.model)
        micro_batches = self.micro_batches(step_rows)
        if accelerator.process_index >= len(step_rows):
            scales = {name: 0.0 * scale for name, scale in scales.items()}
        look_first = self.objective.needs_means and self.is_cut(step_rows)
        if look_first:
            scales = self.shaped(scales, self.first_look(micro_batches, scales))
        losses: dict[str, torch.Tensor] = {}
        for number, rows in enumerate(micro_batches):
            last = number == len(micro_batches) - 1
            syncing = nullcontext() if last else accelerator.no_sync(self.model)
            with syncing, self.task_weighting.watching(bare) if learn else nullcontext():
                logits = self.model(**self.batch(rows))
                if self.objective.needs_means and not look_first:
                    scales = self.shaped(scales, self.objective.means(logits, rows, scales))
                loss, parts = self.objective.loss(logits, rows, scales, self.task_weighting.factors)
                if learn:
                    # Processes average their gradients; the objective wants their sum.
                    accelerator.backward(loss * accelerator.num_processes)
            for name, part in parts.items():
                losses[name] = losses[name] + part if name in losses else part
        if accelerator.num_processes > 1:
            losses = accelerator.reduce(losses, reduction="sum")
        return losses

    def first_look(
        self, micro_batches: list[np.ndarray], scales: dict[str, np.ndarray]
    ) -> dict[str, torch.Tensor]:
        """This process's share of the means that a step's loss depends on, without gradient.

        Random numbers are put back, so that the passes that follow have the same dropout masks.
        """
        # Not the wrapped model, whose processes would have to make equally many passes.
        bare, device = self.accelerator.unwrap_model(self.model), self.accelerator.device
        sums: dict[str, torch.Tensor] = {}
        gpus = [device] if device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(gpus):
            for rows in micro_batches:
                means = self.objective.means(bare(**self.batch(rows)), rows, scales)
                sums = {name: sums[name] + m if name in sums else m for name, m in means.items()}
        return sums

    def shaped(
        self, scales: dict[str, np.ndarray], means: dict[str, torch.Tensor]
    ) -> dict[str, np.ndarray]:
        """The scales of a step, from the shares of its means of all processes."""
        if self.accelerator.num_processes > 1:
            means = self.accelerator.reduce(means, reduction="sum")
        return self.objective.shaped(scales, means)

    def batch(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Tokens of a micro-batch on the device."""
        turned = False if self.turned is None else self.turned[rows]
        batch = self.rows.batch(rows, turned)
        return {k: v.to(self.accelerator.device) for k, v in batch.items()}

    def is_cut(self, step_rows: np.ndarray) -> bool:
        """Whether some process has several micro-batches of a step; all give the same answer.

        They have to: processes that exchange numbers in another order wait for each other.
        """
        processes = range(self.accelerator.num_processes)
        return any(len(self.micro_batches(step_rows, number)) > 1 for number in processes)

    def micro_batches(self, step_rows: np.ndarray, process: int | None = None) -> list[np.ndarray]:
        """A process's share of a step, this one's if not told else, cut by the token budget."""
        process = self.accelerator.process_index if process is None else process
        share = step_rows[process :: self.accelerator.num_processes]
        if len(share) == 0:
            # More processes than rows: take part in the gradient exchange, at scale zero.
            return [step_rows[:1]]
        return cut_by_tokens(share, self.rows.lengths(), self.experiment.train.max_tokens_per_batch)

    def count(self, losses: dict[str, torch.Tensor], norm: float, n_rows: int) -> None:
        """Book one finished step."""
        progress = self.progress
        progress.step += 1
        progress.steps += 1
        progress.rows += n_rows
        if np.isfinite(norm):
            progress.gradient_norm += norm
            progress.norms += 1
        for name, loss in losses.items():
            progress.losses[name] = progress.losses.get(name, 0.0) + float(loss)
            progress.labelled[name] = progress.labelled.get(name, 0) + 1
        self.on_step(progress, n_rows)

    def evaluate_and_select(self, share_of_epoch: float) -> None:
        """Validate, record, keep the best weights, and stop early when asked to."""
        progress = self.progress
        record: dict[str, Any] = {
            "epoch": progress.epoch + share_of_epoch,
            "rows": progress.rows,
            "seconds": round(progress.seconds, 2),
            "learning_rate": self.schedule.get_last_lr()[0],
            "train_loss": {k: v / progress.labelled[k] for k, v in progress.losses.items()},
            "gradient_norm": progress.gradient_norm / progress.norms if progress.norms else None,
        }
        if told := self.task_weighting.record():
            record["balance"] = told
        progress.losses, progress.labelled, progress.steps = {}, {}, 0
        progress.gradient_norm, progress.norms = 0.0, 0
        if self.evaluate is not None:
            record["metrics"] = self.evaluate()
            self.select(record["metrics"])
        elif self.experiment.selection.keep == "average":  # without held-out rows, the same mean
            self.keep()
        progress.history.append(record)
        self.on_evaluation(record)

    def select(self, metrics: dict[str, float | None]) -> None:
        """Compare the selection metric with the best so far."""
        progress = self.progress
        value = metrics[self.metric]
        sign = 1 if higher_is_better(self.metric) else -1
        first = progress.best_at is None
        # Undefined (a correlation of constant predictions) is worse than any value.
        better = value is not None and (
            progress.best is None or sign * value > sign * progress.best
        )
        if first or better:
            progress.best, progress.since_best = value, 0
            progress.best_at = [progress.epoch, progress.step]
        else:
            progress.since_best += 1
        if first or better or self.experiment.selection.keep != "best":
            self.keep()
        patience = self.experiment.selection.early_stopping
        progress.stopped = 0 < patience <= progress.since_best


def evaluation_steps(n_steps: int, per_epoch: int) -> set[int]:
    """After which steps of an epoch to evaluate; the last step always."""
    return {max(1, round(n_steps * (i + 1) / per_epoch)) for i in range(per_epoch)}
