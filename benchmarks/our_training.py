"""The training of auxfold as a contestant: every run is one epoch over some rows."""

from __future__ import annotations

import time

import numpy as np
import torch

from auxfold.config.experiment import Experiment
from auxfold.data.batches import training_steps
from auxfold.tasks import TaskSet
from auxfold.training.build import FoldParts, build_fold, start_accelerator
from auxfold.training.step_counter import SECONDS
from auxfold.training.step_runner import training_context
from benchmarks.rows import make_table
from benchmarks.timing import seconds_of


class OurTraining:
    """The training of auxfold, whose every run is one epoch over some rows.

    Args:
        experiment: of :func:`make_experiment`.
        texts: all rows.
        seed: of labels and weights.
        device: where it trains.
    """

    def __init__(
        self, experiment: Experiment, texts: list[str], seed: int, device: torch.device
    ) -> None:
        tasks = TaskSet.from_experiment(experiment)
        table = make_table(texts, len(experiment.label_columns), seed)
        self.experiment, self.labels, self.device = experiment, table.labels, device
        accelerator = start_accelerator(experiment)
        if accelerator.device.type != device.type:
            raise RuntimeError(f"accelerate trains on {accelerator.device}, not on {device}")
        self.context = training_context(device)
        everything = np.arange(len(texts))
        self.parts: FoldParts = build_fold(experiment, tasks, table, everything, accelerator, seed)
        self.parts.model.train()

    def run(self, indices: np.ndarray) -> float:
        """Train one epoch on these rows; the seconds until the device has finished."""
        steps = self.steps(indices)
        with self.context:
            return seconds_of(lambda: run_steps(self.parts, steps), self.device)

    def steps(self, indices: np.ndarray) -> list[np.ndarray]:
        """The rows of every step, as in the first epoch of a fold on these rows."""
        settings = self.experiment.train
        lengths = self.parts.stepper.dataset.lengths()[indices]
        steps = training_steps(
            lengths, settings.batch_size, settings.length_bucket_steps, self.experiment.seed, 0
        )
        return [indices[positions] for positions in steps]

    def batch_lengths(self, indices: np.ndarray) -> list[np.ndarray]:
        """The lengths of the rows of every micro-batch of an epoch on these rows."""
        lengths = self.parts.stepper.dataset.lengths()
        stepper = self.parts.stepper
        return [
            lengths[batch] for step in self.steps(indices) for batch in stepper.splitter.split(step)
        ]


def run_steps(parts: FoldParts, steps: list[np.ndarray]) -> None:
    """The optimizer steps over these rows, as the loop of ``FoldTrainer`` makes and reads them."""
    log, read_at = parts.stepper.log, time.perf_counter()
    parts.runner.start_epoch(steps, None)
    for indices in steps:
        parts.runner.train_step(indices)
        if log.is_full or time.perf_counter() - read_at > SECONDS:
            log.read()
            read_at = time.perf_counter()
    log.read()
