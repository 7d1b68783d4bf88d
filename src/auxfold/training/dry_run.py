"""What a training would do, found out by doing a little of it: nothing is written."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils import set_seed

from auxfold.config.experiment import Experiment
from auxfold.data.batches import TokenizedDataset, tokenize_dataset
from auxfold.data.sampling import rows_of_epoch, steps_per_epoch
from auxfold.data.table import Table
from auxfold.model.backbone import (
    load_tokenizer,
    new_model,
    parameter_count,
    parameters_in_words,
)
from auxfold.storage.run_folder import FULL, RunFolder
from auxfold.tasks import label_summary, make_tasks, selection_metric
from auxfold.training.checkpoint import Progress
from auxfold.training.fold import start_accelerator, start_heads
from auxfold.training.loop import Loop, evaluation_steps
from auxfold.training.objective import Objective
from auxfold.training.optimizer import make_optimizer, make_schedule
from auxfold.training.split import all_negative_mask, load_training_table, planned_split
from auxfold.training.weighting.task_weighting import TaskWeighting

SAMPLE = 2_000  # rows that are tokenised, and from which steps are cut and timed
SECONDS = 20.0  # of timed steps


def plan_fold(experiment: Experiment, fold: int | str, n_folds: int = 1) -> str:
    """What training a fold would do, with steps, memory, time and disk, line by line.

    A few real steps are run on rows of the table: the longest ones, which show the memory, then
    as many as fit into 20 seconds.

    Args:
        experiment: what would be trained.
        fold: which fold, or ``full``.
        n_folds: how many such folds would be trained one after the other.

    Raises:
        InputError: whatever would end the training at its start.
    """
    table = load_training_table(experiment)
    train_rows, valid_rows = planned_split(experiment, table, fold)
    random = np.random.default_rng(experiment.seed)
    drawn = train_rows[random.permutation(len(train_rows))[:SAMPLE]]
    trial = _Trial(experiment, table.take(drawn))
    speed = trial.run()
    sources, negatives = (
        table.sources_of(train_rows),
        all_negative_mask(experiment, table, train_rows),
    )
    sampled = (experiment.train, len(train_rows), sources, negatives)
    counts = rows_of_epoch(*sampled)
    return "\n".join(
        [
            f"fold {fold} of {experiment.name}; nothing is written",
            *_rows(experiment, table, train_rows, valid_rows),
            *_identities(experiment, table, train_rows),
            _texts(trial.rows, experiment),
            _model(experiment, trial),
            *_sources(experiment, sources, counts),
            *_negatives(experiment, negatives, int(counts.sum())),
            _steps(experiment, steps_per_epoch(*sampled)),
            f"memory     {speed.memory:.1f} GB at the longest batch, on {trial.device}",
            _time(experiment, speed, int(counts.sum()), len(valid_rows), n_folds),
            _disk(experiment, fold, parameter_count(trial.model)),
        ]
    )


@dataclass(frozen=True)
class Speed:
    """What a few steps showed: rows per second, over how many steps, and the peak in GB."""

    rows_per_second: float
    steps: int
    memory: float


class _Trial:
    """A model and a loop over a few rows."""

    def __init__(self, experiment: Experiment, table: Table) -> None:
        set_seed(experiment.seed)
        accelerator, self.precision = start_accelerator(experiment)
        self.device = accelerator.device.type
        self.tasks = make_tasks(experiment)
        self.rows = tokenize_dataset(
            table.texts, load_tokenizer(experiment.model), experiment.model
        )
        heads = {task.name: task.head_width for task in self.tasks}
        self.model = new_model(experiment, heads, self.device)
        start_heads(self.model, experiment, self.tasks, table.labels)
        task_weighting = TaskWeighting(experiment, accelerator)
        optimizer = make_optimizer(self.model, experiment.train, task_weighting.group())
        model, optimizer = accelerator.prepare(self.model, optimizer)
        self.loop = Loop(
            experiment=experiment,
            accelerator=accelerator,
            model=model,
            optimizer=optimizer,
            schedule=make_schedule(optimizer.optimizer, experiment.train, 10_000),
            objective=Objective(self.tasks, table, accelerator.device),
            task_weighting=task_weighting,
            rows=self.rows,
            train_rows=np.arange(len(table)),
            sources=table.sources,
            progress=Progress(),
            metric=selection_metric(experiment),
            evaluate=None,
            keep=lambda: None,
            save=lambda: None,
            on_step=lambda *_: None,
            on_evaluation=lambda _: None,
        )

    def run(self) -> Speed:
        """The step with the longest rows first, which shows the memory and warms up."""
        self.loop.model.train()
        steps = self.loop.steps(0)
        lengths = self.rows.lengths()
        longest = max(steps, key=lambda rows: int(lengths[rows].sum()))
        for _ in range(2):
            self.loop.train_step(longest)
        started, rows, done = time.perf_counter(), 0, 0
        for step in steps:
            self.loop.train_step(step)
            rows, done = rows + len(step), done + 1
            if time.perf_counter() - started > SECONDS:
                break
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return Speed(rows / (time.perf_counter() - started), done, _peak_memory())


def _peak_memory() -> float:
    """GB of the GPU, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved() / 1e9
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _rows(
    experiment: Experiment, table: Table, train_rows: np.ndarray, valid_rows: np.ndarray
) -> list[str]:
    told = label_summary(make_tasks(experiment), table.labels[train_rows])
    labels = ", ".join(f"{name} {value}" for name, value in told.items())
    unlabelled = int(np.isnan(table.labels[train_rows]).all(axis=1).sum())
    without = f"; {unlabelled:,} without any label" if unlabelled else ""
    return [
        f"rows       {len(table):,} of {table.path}: {len(train_rows):,} to train on, "
        f"{len(valid_rows):,} to validate{without}",
        f"labels     {labels}",
    ]


def _identities(experiment: Experiment, table: Table, rows: np.ndarray) -> list[str]:
    """How many of the rows mention an identity, and what row weights by name make of the rows."""
    told, scheme = [], experiment.sample_weights.scheme
    if experiment.identities.columns:
        shares = table.identities[rows]
        known = int((~np.isnan(shares)).any(axis=1).sum())
        some = int((shares >= 0.5).any(axis=1).sum())
        told.append(f"identities {known:,} of the rows to train on annotated, {some:,} have one")
    if scheme:
        name = experiment.main_task.name
        weights = table.task_weights[name][rows]
        told.append(
            f"weights    of {name} by {' times '.join(scheme)}: {weights.min():.2f} to "
            f"{weights.max():.2f}, {weights.mean():.2f} in the mean"
        )
    return told


def _texts(rows: TokenizedDataset, experiment: Experiment) -> str:
    lengths = rows.lengths()
    whole = sum(column.lengths() for column in rows.columns) + rows.template.extra
    cut = (whole > experiment.model.max_length).mean()
    return (
        f"texts      {lengths.mean():.0f} tokens in the mean, 95 % up to "
        f"{np.quantile(lengths, 0.95):.0f}; {cut:.1%} of the rows are longer than "
        f"{experiment.model.max_length} and cut ({len(rows):,} rows looked at)"
    )


def _model(experiment: Experiment, trial: _Trial) -> str:
    heads = ", ".join(f"{task.name} {task.n_outputs}" for task in trial.tasks)
    return (
        f"model      {experiment.model.backbone}: {parameters_in_words(trial.model)} "
        f"to train, {trial.precision} on {trial.device}; heads {heads}"
    )


def _sources(experiment: Experiment, sources: np.ndarray | None, counts: np.ndarray) -> list[str]:
    """Of several sources: rows to train on, and how many of them come in an epoch."""
    if sources is None:
        return []
    names, train = experiment.data.source_names, experiment.train
    sizes = np.bincount(sources, minlength=len(names))
    counts = np.pad(counts, (0, len(names) - len(counts)))
    told = [
        f"{name} {size:,}" + (f" ({count:,} an epoch)" if count != size else "")
        for name, size, count in zip(names, sizes, counts, strict=True)
    ]
    return [f"sources    {', '.join(told)}; sampled by {train.sampling}, {train.batches} steps"]


def _negatives(experiment: Experiment, negatives: np.ndarray | None, n_rows: int) -> list[str]:
    """Under ``negative_sample_rate``: how many rows it is about, and what an epoch has."""
    if negatives is None:
        return []
    return [
        f"negatives  {int(negatives.sum()):,} of {len(negatives):,} rows have zero labels alone; "
        f"{experiment.train.negative_sample_rate:.0%} of them an epoch, which has {n_rows:,} rows"
    ]


def _steps(experiment: Experiment, steps: int) -> str:
    train = experiment.train
    evaluations = train.epochs * len(evaluation_steps(steps, train.evaluations_per_epoch))
    total = train.epochs * steps
    return (
        f"steps      {total:,} of {train.batch_size} rows: {train.epochs} epochs of {steps:,}; "
        f"{round(train.warmup_ratio * total):,} of warm-up, {evaluations} evaluations by "
        f"{selection_metric(experiment)}"
    )


def _time(experiment: Experiment, speed: Speed, n_epoch: int, n_valid: int, n_folds: int) -> str:
    train = experiment.train
    # A prediction is the forward third of a training step.
    evaluated = (train.epochs * train.evaluations_per_epoch + 1) * n_valid / 3
    seconds = (train.epochs * n_epoch + evaluated) / speed.rows_per_second
    folds = f", {n_folds} folds {_duration(n_folds * seconds)}" if n_folds > 1 else ""
    return (
        f"time       about {_duration(seconds)} a fold{folds}, at {speed.rows_per_second:.0f} "
        f"rows/s in {speed.steps} steps on this machine"
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _disk(experiment: Experiment, fold: int | str, parameters: int) -> str:
    folder = RunFolder.of(experiment).fold(fold)
    there = f"{folder.path} exists: it needs --overwrite" if folder.exists() else f"{folder.path}"
    # While it trains: the state (weights, two moments of AdamW) and the kept weights beside it.
    kept = experiment.selection.checkpoints if experiment.selection.keep == "average" else 1
    training = _megabytes(4 * (3 + kept) * parameters)
    return f"disk       {_megabytes(4 * parameters)}, {training} while it trains: {there}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 10e6 else f"{count / 1e6:.1f} MB"


def n_folds_of(experiment: Experiment, fold: str) -> tuple[int | str, int]:
    """The fold to plan for ``--fold``, and how many such folds it means."""
    if fold == "all":
        return 0, len(experiment.folds.names)
    return (FULL if fold == FULL else int(fold)), 1
