"""One process of a training kernel: it trains a fold, or predicts the test file with one.

The process that trains also measures how long a prediction will take, and stops that much before
the deadline of its fold.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from auxfold.config.experiment import Experiment, load_experiment
from auxfold.data.loading import read_prediction_table
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.predict import concatenate_logits
from auxfold.storage.atomic import atomic_write, write_json
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.speed import MIN_ROWS, measure_prediction
from auxfold.training.time_limit import TimeLimit

PREDICTION_MARGIN = 1.2  # times the measured duration of a prediction
MAX_MEASURED_ROWS = 4_000
CHARACTERS_PER_TOKEN = 8  # at most, of texts that are cut to a number of tokens


@dataclass(frozen=True)
class FoldJob:
    """A fold that is trained and predicts, until a deadline.

    Attributes:
        experiment: the experiment file with the paths of this machine.
        fold: its number, or ``full``.
        tasks: the tasks to predict.
        out: the folder for logits and times.
        launched_at: when the process was started, in seconds since the epoch.
        deadline: when the fold's predictions must be there; 0: no further step is trained.
        prediction_seconds: what the slowest prediction of another fold took; 0: there is none.
    """

    experiment: str
    fold: int | str
    tasks: list[str]
    out: str
    launched_at: float
    deadline: float
    prediction_seconds: float = 0.0

    @property
    def times_path(self) -> Path:
        """The file with the :class:`FoldTimes`."""
        return Path(self.out) / f"{self.fold}.json"

    def logits_path(self, shard: int) -> Path:
        """The file with the logits of every n-th row, ``(rows, widths of all heads)``."""
        return Path(self.out) / f"{self.fold}.{shard}.npy"


@dataclass(frozen=True)
class FoldTimes:
    """What the parts of a fold take on this machine, in seconds.

    Attributes:
        to_first_evaluation: from the start of the process to the end of the first evaluation, or
            of the training where nothing is evaluated.
        prediction: of the test file, the start of its process included.
    """

    to_first_evaluation: float
    prediction: float


def train(job: FoldJob) -> None:
    """Train a fold until it is finished, or until only the time to predict with it is left.

    Raises:
        InputError: as :func:`~auxfold.training.fold.train_fold`.
    """
    experiment = load_experiment(job.experiment, trust_reader=True)
    folder = RunFolder.of(experiment).fold(job.fold)
    limits: list[TimeLimit] = []
    seconds = []

    def measure(trainer: FoldTrainer) -> TimeLimit:
        per_row = measure_seconds_per_row(trainer)
        start = time.time() - job.launched_at  # the start of another process takes as long
        test = read_prediction_table(experiment, str(experiment.data.test))
        ratio = mean_length(experiment, test) / max(mean_length(experiment, trainer.table), 1.0)
        expected = max(start + per_row * ratio * len(test), job.prediction_seconds)
        seconds.append(expected)
        limit = TimeLimit(
            job.deadline - PREDICTION_MARGIN * expected, per_row * len(trainer.valid_indices)
        )
        limits.append(limit)
        if trainer.accelerator.is_main_process:
            print(
                f"fold {job.fold}: {expected:.0f} s are reserved to predict {len(test):,} rows; "
                f"training may go on for {max(limit.deadline - time.time(), 0):.0f} s",
                flush=True,
            )
        return limit

    train_fold(experiment, job.fold, resume=folder.working.exists(), time_limit=measure)
    if limits and os.environ.get("RANK", "0") == "0":
        evaluated_at = limits[0].evaluated_at or time.time()
        times = FoldTimes(evaluated_at - job.launched_at, seconds[0])
        write_json(job.times_path, asdict(times))


def measure_seconds_per_row(trainer: FoldTrainer) -> float:
    """Seconds to predict a row of the training table, which are those of other weights, too."""
    random, table = np.random.default_rng(0), trainer.table
    rows = random.permutation(len(table))[:MAX_MEASURED_ROWS]
    evaluator = replace(trainer.evaluator, indices=rows)
    started = time.perf_counter()
    replace(evaluator, indices=rows[:MIN_ROWS]).predict(trainer.kept_model)
    per_row = (time.perf_counter() - started) / len(rows[:MIN_ROWS])
    # A step of training takes about three times as long as a prediction.
    return measure_prediction(trainer.parts, evaluator, 3 * per_row)


def mean_length(experiment: Experiment, table: Table) -> float:
    """The mean number of characters of a row that a model reads, or somewhat more."""
    rows = np.random.default_rng(0).permutation(len(table))[:MAX_MEASURED_ROWS]
    lengths = np.zeros(len(rows))
    for column in table.texts:
        lengths += [len(column[row]) for row in rows]
    if experiment.model.truncation != "windows":
        lengths = np.minimum(lengths, CHARACTERS_PER_TOKEN * experiment.model.max_length)
    return float(lengths.mean())


def predict(job: FoldJob, shard: int, n_shards: int) -> None:
    """Store the logits of every ``n_shards``-th row of the test file.

    Raises:
        InputError: the fold is damaged, or a prediction is not finite.
    """
    experiment = load_experiment(job.experiment, trust_reader=True)
    folder = trained_folder(experiment, job.fold)
    assert folder is not None, "the fold is trained"
    ensemble = Ensemble(experiment, [folder])
    tasks = ensemble.select_tasks(job.tasks)
    table = read_prediction_table(experiment, str(experiment.data.test))
    rows = shard_rows(len(table), shard, n_shards)
    logits: dict[str, np.ndarray] = {}
    ensemble.predict(
        table.take(rows),
        tasks,
        "logit",
        show=False,
        on_fold=lambda _, fold_logits: logits.update(fold_logits),
    )
    values = concatenate_logits(logits, tasks.names)
    atomic_write(job.logits_path(shard), partial(np.save, arr=values))
    print(f"fold {job.fold}: {len(values):,} rows are predicted", flush=True)


def shard_rows(n_rows: int, shard: int, n_shards: int) -> np.ndarray:
    """The rows of a shard: every ``n_shards``-th one."""
    return np.arange(n_rows)[shard::n_shards]


def trained_folder(experiment: Experiment, fold: int | str) -> FoldFolder | None:
    """The finished fold, else what it was when its time was up; None where it is neither."""
    folder = RunFolder.of(experiment).fold(fold)
    return next((f for f in (folder, folder.snapshot) if f.exists()), None)


def main(arguments: dict[str, Any]) -> None:
    """Do what the kernel asks this process to do: train, or predict a shard of the rows."""
    job, shard = FoldJob(**arguments["job"]), arguments["shard"]
    if shard is None:
        train(job)
    else:
        predict(job, *shard)


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except InputError as error:
        print(f"error: {error}", flush=True)
        sys.exit(2)
