"""Which rows make the optimizer steps of every epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auxfold.config import Train
from auxfold.config.experiment import Experiment
from auxfold.data.batches import swap_mask
from auxfold.data.dataset import TokenizedDataset
from auxfold.data.sampling import (
    epoch_rows_per_source,
    epoch_steps,
    sample_epoch_indices,
    steps_per_epoch,
)
from auxfold.data.table import Table
from auxfold.tasks import TaskSet
from auxfold.training.split import all_negative_mask


@dataclass(frozen=True)
class EpochPlan:
    """The steps of a training, which depend on seed and epoch alone.

    Attributes:
        dataset: the tokens of all rows of the table; None where nobody asks for steps.
        indices: the rows to train on.
        sources: ``(len(indices),)`` the data set that each row comes from; None if there is one.
        negatives: ``(len(indices),)`` bool, the rows of which an epoch has only
            ``train.negative_sample_rate``; None if it has all.
    """

    settings: Train
    seed: int
    dataset: TokenizedDataset | None
    indices: np.ndarray
    sources: np.ndarray | None = None
    negatives: np.ndarray | None = None

    @classmethod
    def for_rows(
        cls,
        experiment: Experiment,
        tasks: TaskSet,
        table: Table,
        dataset: TokenizedDataset | None,
        indices: np.ndarray,
    ) -> EpochPlan:
        """The plan for these rows of a table.

        Raises:
            InputError: ``train.negative_sample_rate`` where there is no negative row.
        """
        return cls(
            settings=experiment.train,
            seed=experiment.seed,
            dataset=dataset,
            indices=indices,
            sources=table.sources_at(indices),
            negatives=all_negative_mask(experiment, tasks, table, indices),
        )

    def rows_per_source(self) -> np.ndarray:
        """``(sources,)`` int: the rows that an epoch has of each data set."""
        return epoch_rows_per_source(self.settings, len(self.indices), self.sources, self.negatives)

    @property
    def rows_per_epoch(self) -> int:
        """Rows of one epoch."""
        return int(self.rows_per_source().sum())

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one epoch."""
        return steps_per_epoch(self.settings, len(self.indices), self.sources, self.negatives)

    def rows(self, epoch: int) -> np.ndarray:
        """The rows of the table in an epoch, each as often as it comes."""
        if self.sources is None and self.negatives is None:
            return self.indices
        sources = np.zeros(len(self.indices), int) if self.sources is None else self.sources
        positions = sample_epoch_indices(self.settings, sources, self.seed, epoch, self.negatives)
        return self.indices[positions]

    def steps(self, epoch: int) -> list[np.ndarray]:
        """The rows of the table in every step of an epoch."""
        assert self.dataset is not None, "steps depend on the lengths of rows"
        lengths = self.dataset.lengths()[self.indices]
        steps = epoch_steps(lengths, self.sources, self.settings, self.seed, epoch, self.negatives)
        return [self.indices[positions] for positions in steps]

    def swapped(self, epoch: int) -> np.ndarray | None:
        """``(rows,)`` bool: the rows whose two texts are swapped, under ``symmetric_pairs``."""
        if self.dataset is None or not self.dataset.symmetric_pairs:
            return None
        return swap_mask(len(self.dataset), self.seed, epoch)

    def windows(self, epoch: int) -> np.ndarray | None:
        """``(rows,)`` int: the window of each row that an epoch trains on; None: each has one."""
        return None if self.dataset is None else self.dataset.sample_windows(self.seed, epoch)


def evaluation_steps(n_steps: int, per_epoch: int) -> set[int]:
    """The steps of an epoch after which to evaluate; the last step is always one of them."""
    return {max(1, round(n_steps * (i + 1) / per_epoch)) for i in range(per_epoch)}
