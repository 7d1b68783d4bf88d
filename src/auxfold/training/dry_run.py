"""What a training would do, learned by doing a little of it; nothing is written."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch

from auxfold.config.experiment import Experiment
from auxfold.data.dataset import TokenizedDataset
from auxfold.data.reader import describe_data_files
from auxfold.data.sample_weights import fit_sample_weights
from auxfold.data.table import Table
from auxfold.evaluation.data_summary import summarize_data
from auxfold.model.backbone import count_trainable_parameters, describe_parameters
from auxfold.storage.run_folder import FULL, RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.build import FoldParts, build_fold, start_accelerator
from auxfold.training.epochs import EpochPlan, evaluation_steps
from auxfold.training.fold_time import (
    FoldTime,
    draw_sample,
    measure_evaluation,
    measure_tokenizing,
    settings_for_sample,
)
from auxfold.training.memory_estimate import estimate_step_memory
from auxfold.training.selection_check import split_and_check
from auxfold.training.speed import StepSpeed, measure_steps
from auxfold.training.split import load_training_table


def plan_fold(
    experiment: Experiment, fold: int | str, n_folds: int = 1, verify: bool = False
) -> Iterator[str]:
    """What training a fold would do, with steps, memory, time and disk, line by line.

    What is known without a step comes first. Then a few real steps are run on rows of the table:
    first the longest one, which shows the memory, then steps of every length, for about 20 seconds;
    then some predictions.

    Args:
        experiment: what would be trained.
        fold: which fold, or ``full``.
        n_folds: how many such folds would be trained one after the other.
        verify: read the training files in any case.

    Raises:
        InputError: whatever would end the training at its start.
    """
    started = time.perf_counter()
    tasks = TaskSet.from_experiment(experiment)
    table = load_training_table(experiment, tasks, verify, store=False)
    train_indices, valid_indices, notes = split_and_check(experiment, tasks, table, fold, plan=True)
    epochs = EpochPlan.for_rows(experiment, tasks, table, None, train_indices)
    sample = draw_sample(experiment, table, epochs, valid_indices)
    accelerator = start_accelerator(experiment)
    parts = build_fold(
        settings_for_sample(experiment, sample, epochs),
        tasks,
        sample.table,
        sample.train,
        accelerator,
        experiment.seed,
    )
    seconds_to_start = time.perf_counter() - started
    files = describe_data_files(experiment.data, experiment.training_paths)
    yield f"fold {fold} of {experiment.name}; nothing is written"
    yield from _describe_rows(tasks, table, train_indices, valid_indices)
    yield from _describe_identities(experiment, table, train_indices)
    yield _describe_texts(parts.stepper.dataset, experiment)
    yield _describe_model(experiment, tasks, parts)
    yield from (f"note       {note}" for note in [*files, *table.notes, *parts.notes, *notes])
    yield from (f"warning    {s}" for s in summarize_data(experiment, tasks, table).warnings())
    yield from _describe_sources(experiment, epochs)
    yield from _describe_negatives(experiment, epochs)
    yield _describe_steps(experiment, tasks, epochs.steps_per_epoch)
    yield f"on a GPU   about {estimate_step_memory(parts, experiment).describe()}"
    speed = measure_steps(parts, experiment.train.ema)
    gigabytes = _peak_gigabytes()
    fold_time = FoldTime(
        start=seconds_to_start + speed.warm_up_seconds,
        tokenizing=measure_tokenizing(experiment, table, sample, parts.tokenizer),
        training=experiment.train.epochs * epochs.rows_per_epoch * speed.seconds_per_row,
        evaluation=measure_evaluation(
            experiment, tasks, table, valid_indices, epochs.steps_per_epoch, parts, sample, speed
        ),
    )
    yield f"memory     {gigabytes:.1f} GB at the longest batch, on {accelerator.device.type}"
    yield from _describe_time(experiment, speed, fold_time, n_folds)
    yield _describe_disk(experiment, fold, count_trainable_parameters(parts.model))


def _peak_gigabytes() -> float:
    """The peak memory of the GPU, or of this process where there is no GPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved() / 1e9
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _describe_rows(
    tasks: TaskSet, table: Table, train_indices: np.ndarray, valid_indices: np.ndarray
) -> list[str]:
    train_labels = table.labels[train_indices]
    summary = tasks.label_summary(train_labels)
    labels = ", ".join(f"{name} {value}" for name, value in summary.items())
    unlabeled = int(np.isnan(train_labels).all(axis=1).sum())
    without = f"; {unlabeled:,} without any label" if unlabeled else ""
    return [
        f"rows       {len(table):,} of {table.path}: {len(train_indices):,} to train on, "
        f"{len(valid_indices):,} to validate{without}",
        f"labels     {labels}",
    ]


def _describe_identities(experiment: Experiment, table: Table, indices: np.ndarray) -> list[str]:
    """The rows that mention an identity, and the weights that schemes give to the rows."""
    lines, scheme = [], experiment.sample_weights.scheme
    if experiment.identities.columns:
        shares = table.identities[indices]
        known = int((~np.isnan(shares)).any(axis=1).sum())
        some = int((shares >= 0.5).any(axis=1).sum())
        lines.append(f"identities {known:,} of the rows to train on annotated, {some:,} have one")
    if scheme:
        name = experiment.main_task.name
        fitted = fit_sample_weights(experiment, table, indices)
        weights = fitted.task_weights[name][indices]
        lines.append(
            f"weights    of {name} by {' times '.join(scheme)}: {weights.min():.2f} to "
            f"{weights.max():.2f}, {weights.mean():.2f} on average"
        )
    return lines


def _describe_texts(dataset: TokenizedDataset, experiment: Experiment) -> str:
    lengths, n_windows = dataset.lengths(), dataset.n_windows()
    cut = (dataset.whole_lengths() > experiment.model.max_length).mean()
    fate = "cut"
    if experiment.model.truncation == "windows":
        fate = f"read in windows, {n_windows.mean():.1f} a row on average"
    return (
        f"texts      {lengths.mean():.0f} tokens on average, 95 % up to "
        f"{np.quantile(lengths, 0.95):.0f}; {cut:.1%} of the rows are longer than "
        f"{experiment.model.max_length} and {fate} ({len(dataset):,} rows sampled)"
    )


def _describe_model(experiment: Experiment, tasks: TaskSet, parts: FoldParts) -> str:
    heads = ", ".join(f"{task.name} {task.n_outputs}" for task in tasks)
    device = parts.stepper.accelerator.device.type
    return (
        f"model      {experiment.model.backbone}: {describe_parameters(parts.model)} "
        f"to train, {parts.amp_dtype} on {device}; heads {heads}"
    )


def _describe_sources(experiment: Experiment, epochs: EpochPlan) -> list[str]:
    """Of several data sets: rows to train on, and how many of them an epoch has."""
    if epochs.sources is None:
        return []
    names, train = experiment.data.row_sources, experiment.train
    sizes = np.bincount(epochs.sources, minlength=len(names))
    counts = epochs.rows_per_source()
    counts = np.pad(counts, (0, len(names) - len(counts)))
    sources = [
        f"{name} {size:,}" + (f" ({count:,} an epoch)" if count != size else "")
        for name, size, count in zip(names, sizes, counts, strict=True)
    ]
    return [f"sources    {', '.join(sources)}; sampled by {train.sampling}, {train.batches} steps"]


def _describe_negatives(experiment: Experiment, epochs: EpochPlan) -> list[str]:
    """Under ``negative_sample_rate``: the rows that it is about, and what an epoch has."""
    negatives, rate = epochs.negatives, experiment.train.negative_sample_rate
    if negatives is None:
        return []
    return [
        f"negatives  {int(negatives.sum()):,} of {len(negatives):,} rows have only zero labels; "
        f"{rate:.0%} of them an epoch, which has {epochs.rows_per_epoch:,} rows"
    ]


def _describe_steps(experiment: Experiment, tasks: TaskSet, n_steps: int) -> str:
    train = experiment.train
    evaluations = train.epochs * len(evaluation_steps(n_steps, train.evaluations_per_epoch))
    total = train.epochs * n_steps
    return (
        f"steps      {total:,} of {train.batch_size} rows: {train.epochs} epochs of {n_steps:,}; "
        f"{round(train.warmup_ratio * total):,} of warm-up, {evaluations} evaluations by "
        f"{tasks.selection_metric}"
    )


def _describe_time(
    experiment: Experiment, speed: StepSpeed, fold_time: FoldTime, n_folds: int
) -> list[str]:
    folds = (
        f", {n_folds} folds {_format_duration(fold_time.of_folds(n_folds))}" if n_folds > 1 else ""
    )
    limit = "at most" if experiment.selection.early_stopping else "about"
    parts = [
        f"{_format_duration(fold_time.training)} of training",
        f"{_format_duration(fold_time.evaluation)} of evaluation",
        f"{_format_duration(fold_time.start)} to start",
    ]
    if fold_time.tokenizing:
        parts.append(f"{_format_duration(fold_time.tokenizing)} to tokenize all texts once")
    return [
        f"time       {limit} {_format_duration(fold_time.of_folds(1))} a fold{folds}: "
        f"{', '.join(parts)}",
        f"speed      {1 / speed.seconds_per_row:.0f} rows/s in {speed.n_steps} steps on this "
        f"machine",
    ]


def _format_duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _describe_disk(experiment: Experiment, fold: int | str, n_parameters: int) -> str:
    folder = RunFolder.of(experiment).fold(fold)
    where = f"{folder.path} exists: it needs --overwrite" if folder.exists() else f"{folder.path}"
    # While it trains: the state (weights, two moments of AdamW) and the stored weights.
    stored = experiment.selection.checkpoints if experiment.selection.keep == "average" else 1
    training = _format_megabytes(4 * (3 + stored) * n_parameters)
    return f"disk       {_format_megabytes(4 * n_parameters)}, {training} while it trains: {where}"


def _format_megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 10e6 else f"{n_bytes / 1e6:.1f} MB"


def resolve_folds(experiment: Experiment, fold: str) -> tuple[int | str, int]:
    """The fold to plan for ``--fold``, and how many such folds it means."""
    if fold == "all":
        return 0, len(experiment.folds.names)
    return (FULL if fold == FULL else int(fold)), 1
