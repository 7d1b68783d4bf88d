"""Train one fold, start to end: lock its folder, assemble what trains, run the training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.storage.lock import FoldLock
from auxfold.storage.run_folder import FULL, FoldFolder, RunFolder
from auxfold.storage.trained import check_trained_with
from auxfold.storage.working import clean_fold, start_working
from auxfold.tasks import TaskSet
from auxfold.training.build import build_fold, start_accelerator
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.optimizer import MovingAverage
from auxfold.training.selection_check import split_and_check
from auxfold.training.snapshot import write_snapshot
from auxfold.training.split import accept_former_fingerprint, load_training_table
from auxfold.training.time_limit import TimeLimit, TimeUp

FULL_FOLD_NUMBER = 999  # seeds the model that is trained on all rows


def train_fold(
    experiment: Experiment,
    fold: int | str,
    resume: bool = False,
    overwrite: bool = False,
    verify: bool = False,
    time_limit: Callable[[FoldTrainer], TimeLimit] | None = None,
) -> FoldFolder:
    """Train fold ``k``, or one model on all rows (``fold="full"``), and fill its folder.

    Args:
        experiment: what is trained.
        fold: its number, or ``full``.
        resume: continue where a training of the fold stopped.
        overwrite: train a finished fold again.
        verify: read the training files in any case, see :func:`load_training_table`.
        time_limit: gives the time until which the assembled fold may be trained. When it is up, the
            fold stays unfinished, and ``fold_k.stopped`` is what it would be if it ended there.

    Raises:
        InputError: bad input, no or foreign folds, the fold exists (see ``resume`` and
            ``overwrite``), or another process trains it.
        KeyboardInterrupt: a signal has asked to stop, see :mod:`auxfold.training.signals`. The
            state is saved, or the fold is finished.
    """
    folder = RunFolder.of(experiment).fold(fold)
    tasks = TaskSet.from_experiment(experiment)
    table = load_training_table(experiment, tasks, verify)
    if resume and folder.exists() and not folder.working.exists():
        _check_finished(folder, experiment, table)
        return folder
    train_indices, valid_indices, notes = split_and_check(experiment, tasks, table, fold)
    accelerator = start_accelerator(experiment)
    with FoldLock(folder) if accelerator.is_main_process else nullcontext() as lock:
        with accelerator.main_process_first():
            if accelerator.is_main_process:
                start_working(folder, experiment, resume, overwrite)
        if not folder.working.exists():  # it was complete
            _check_finished(folder, experiment, table)
            return folder
        # Each fold has a random stream of its own, the same again for an equal seed.
        number = FULL_FOLD_NUMBER if fold == FULL else int(fold)
        seed = (experiment.seed * 1000 + number) % 2**32
        cache = RunFolder.of(experiment).tokens
        parts = build_fold(experiment, tasks, table, train_indices, accelerator, seed, cache)
        parts.notes.extend(notes)
        if resume and not folder.state.is_file():
            parts.notes.append(f"{folder.working} has no saved state; training starts anew")
        ema = None
        if experiment.train.ema is not None:
            ema = MovingAverage(parts.model, experiment.train.ema)
        trainer = FoldTrainer(
            experiment, fold, folder, tasks, table, valid_indices, parts, ema, lock
        )
        trainer.restore()
        _train(trainer, time_limit)
    return folder


def _train(trainer: FoldTrainer, time_limit: Callable[[FoldTrainer], TimeLimit] | None) -> None:
    """Train a fold until it is finished or its time is up."""
    if time_limit is not None:
        trainer.limit = time_limit(trainer)
    try:
        trainer.train()
    except TimeUp:
        if trainer.accelerator.is_main_process:
            write_snapshot(trainer)


def _check_finished(folder: FoldFolder, experiment: Experiment, table: Table) -> None:
    """Refuse a finished fold of other settings or data; otherwise say that it is finished."""
    accept_former_fingerprint(RunFolder.of(experiment), experiment, table)
    check_trained_with([folder], experiment, table.fingerprint())
    clean_fold(folder)
    print(f"{folder.path} is finished already")
