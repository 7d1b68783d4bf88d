"""How long a fold takes on this machine, estimated from a sample of its rows."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from transformers import PreTrainedTokenizerBase

from auxfold.config import Train
from auxfold.config.experiment import Experiment
from auxfold.data.dataset import make_row_template, tokenize_dataset
from auxfold.data.table import Table
from auxfold.data.token_store import has_stored_tokens
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.build import FoldParts
from auxfold.training.epochs import EpochPlan, evaluation_steps
from auxfold.training.evaluator import FoldEvaluator
from auxfold.training.speed import StepSpeed, measure_prediction, measure_scoring

MIN_TRAIN_ROWS, MAX_TRAIN_ROWS = 2_000, 20_000  # of a sample
MAX_VALID_ROWS = 4_000


@dataclass(frozen=True)
class FoldTime:
    """The parts of the time of a fold, in seconds.

    Attributes:
        start: reading the table, building the model, and what a GPU's first steps take longer.
        tokenizing: all texts; 0 where their tokens are stored. The first fold does it for all.
        training: all epochs.
        evaluation: all predictions of the held-out rows, and their scores.
    """

    start: float
    tokenizing: float
    training: float
    evaluation: float

    def of_folds(self, n_folds: int) -> float:
        """Seconds of so many folds, one after the other."""
        return self.tokenizing + n_folds * (self.start + self.training + self.evaluation)


@dataclass(frozen=True)
class Sample:
    """Rows that stand for all rows of a fold.

    Attributes:
        table: the sampled rows.
        train: the rows of it to train on.
        valid: the rows of it that are held out.
    """

    table: Table
    train: np.ndarray
    valid: np.ndarray


def draw_sample(
    experiment: Experiment, table: Table, epochs: EpochPlan, valid_indices: np.ndarray
) -> Sample:
    """Random rows of the first epoch, and of the held-out rows.

    Args:
        experiment: names the seed and the size of steps.
        table: the whole table.
        epochs: of the whole fold.
        valid_indices: the rows of the table that are held out.
    """
    random, rows = np.random.default_rng(experiment.seed), epochs.rows(0)
    train = random.permutation(rows)[: sample_size(experiment.train, len(rows))]
    valid = random.permutation(valid_indices)[:MAX_VALID_ROWS]
    positions = np.arange(len(train) + len(valid))
    return Sample(
        table.take(np.concatenate([train, valid])), positions[: len(train)], positions[len(train) :]
    )


def sample_size(settings: Train, n_rows: int) -> int:
    """Rows whose steps have the lengths and the padding of the steps of all rows.

    Rows are sorted by length within buckets, so the sample is a number of whole ones, unless a
    bucket is very large.
    """
    bucket = settings.batch_size * settings.length_bucket_steps
    n_sampled = -(-MIN_TRAIN_ROWS // bucket) * bucket
    if n_sampled > MAX_TRAIN_ROWS:
        n_sampled = max(MAX_TRAIN_ROWS // settings.batch_size, 4) * settings.batch_size
    return min(n_sampled, n_rows)


def settings_for_sample(experiment: Experiment, sample: Sample, epochs: EpochPlan) -> Experiment:
    """The experiment for the sampled rows, which are those of an epoch, with as many steps."""
    settings = experiment.train
    n_steps = settings.epochs * epochs.steps_per_epoch
    n_sampled = -(-len(sample.train) // settings.batch_size)
    changes = {
        "negative_sample_rate": 1.0,
        "sampling": "size",
        "epochs": -(-n_steps // n_sampled),
    }
    return experiment.model_copy(update={"train": settings.model_copy(update=changes)})


def measure_evaluation(
    experiment: Experiment,
    tasks: TaskSet,
    table: Table,
    valid_indices: np.ndarray,
    steps_per_epoch: int,
    parts: FoldParts,
    sample: Sample,
    speed: StepSpeed,
) -> float:
    """Seconds of all evaluations of a fold.

    Args:
        experiment: what would be trained.
        tasks: its tasks.
        table: the whole table.
        valid_indices: the rows of the table that are held out.
        steps_per_epoch: of the whole fold.
        parts: of the sampled rows.
        sample: these rows.
        speed: of training steps.
    """
    if len(valid_indices) == 0:
        return 0.0
    settings, dataset = experiment.train, parts.stepper.dataset
    evaluator = FoldEvaluator(
        experiment, tasks, sample.table, sample.valid, dataset, parts.amp_dtype
    )
    prediction = measure_prediction(parts, evaluator, speed.seconds_per_row) * len(valid_indices)
    scoring = measure_scoring(replace(evaluator, table=table, indices=valid_indices))
    per_epoch = evaluation_steps(steps_per_epoch, settings.evaluations_per_epoch)
    n_evaluations = settings.epochs * len(per_epoch)
    # At the end the stored predictions are scored again; of averaged weights there are none yet.
    n_predictions = n_evaluations + (experiment.selection.keep == "average")
    return n_predictions * prediction + (n_evaluations + 1) * scoring


def measure_tokenizing(
    experiment: Experiment, table: Table, sample: Sample, tokenizer: PreTrainedTokenizerBase
) -> float:
    """Seconds to tokenize all texts that have no stored tokens yet."""
    cache, data = RunFolder.of(experiment).tokens, experiment.data
    template = make_row_template(data, tokenizer)
    # A template becomes one text per row; without one, each column has tokens of its own.
    parts = [table.texts] if template is not None else [[texts] for texts in table.texts]
    missing = [part for part in parts if not has_stored_tokens(part, tokenizer, template, cache)]
    if not missing:
        return 0.0
    started = time.perf_counter()
    tokenize_dataset(sample.table.texts, tokenizer, experiment.model, None, data)
    seconds = time.perf_counter() - started
    return seconds * len(table) / len(sample.table) * len(missing) / len(parts)
