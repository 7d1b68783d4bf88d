"""The folder of a fold while it is trained, from its start to the finished fold."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from auxfold.config.differences import describe_differences
from auxfold.config.experiment import Experiment, load_experiment, to_toml
from auxfold.errors import InputError
from auxfold.storage.atomic import remove_leftovers, sync, write_text
from auxfold.storage.checksums import read_checksums
from auxfold.storage.run_folder import FoldFolder


def start_working(
    folder: FoldFolder, experiment: Experiment, resume: bool = False, overwrite: bool = False
) -> None:
    """Make the working folder of a fold, with the experiment in it.

    A complete working folder, of a process that was killed just before its end, becomes the
    finished one, after which there is no working folder.

    Args:
        folder: the folder of the fold, which is locked.
        experiment: what is trained.
        resume: continue a training.
        overwrite: start again. The finished fold stays until the new one is complete.

    Raises:
        InputError: the fold exists, finished or not, and neither flag was given; or the training to
            resume was started with other settings.
    """
    _restore_former(folder)
    check_overwrite(folder, resume, overwrite)
    if overwrite:
        _discard(folder.working)
    folder.working.mkdir(parents=True, exist_ok=True)
    stored = FoldFolder(folder.working).experiment
    if stored.is_file():
        differences = describe_differences(load_experiment(stored), experiment)
        if differences is not None:
            raise InputError(
                f"{folder.working} was started with {differences}; use --config {stored} to "
                f"continue it, or give --overwrite to start again"
            )
    if _is_complete(FoldFolder(folder.working)):
        print(f"{folder.working} is complete; it becomes {folder.path}", flush=True)
        finish_working(folder)
    else:
        write_text(stored, to_toml(experiment))


def check_overwrite(folder: FoldFolder, resume: bool, overwrite: bool) -> None:
    """Refuse to replace a fold unasked.

    Raises:
        InputError: the fold exists, finished or not, and neither flag was given.
    """
    unfinished = folder.working.exists()
    if folder.path.exists() and not overwrite and not (resume and unfinished):
        raise InputError(f"{folder.path} exists; give --overwrite to train it again")
    if unfinished and not overwrite and not resume:
        raise InputError(
            f"{folder.working} holds an unfinished training; "
            f"give --resume to continue it or --overwrite to start again"
        )
    if unfinished and not overwrite:
        _refuse_pickled_state(folder)


def _refuse_pickled_state(folder: FoldFolder) -> None:
    """Refuse the files of a version whose states were pickles, which run code when they are read.

    Raises:
        InputError: there is such a file.
    """
    for path in sorted(folder.working.glob("*.pt")):
        raise InputError(
            f"{path} is a pickle, as auxfold wrote it before 0.2.0; it is not read, because a "
            f"pickle can run any code; give --overwrite to start again"
        )


def finish_working(folder: FoldFolder) -> None:
    """Turn the working folder, which is complete, into the finished one.

    Whoever is killed in here loses neither the new fold nor the one that it replaces, and
    :func:`start_working` goes on.
    """
    if folder.path.exists():
        _discard(folder.former)
        os.replace(folder.path, folder.former)
    os.replace(folder.working, folder.path)
    sync(folder.path.parent)
    _discard(folder.former)
    clean_fold(folder)


def clean_fold(folder: FoldFolder) -> None:
    """Remove from a finished fold its snapshot, what only training needed, and what a kill left."""
    for path in folder.list_training_files():
        path.unlink(missing_ok=True)
    _discard(folder.snapshot.path)
    remove_leftovers(folder.path)


def _is_complete(working: FoldFolder) -> bool:
    """Whether every file of the finished fold is there; their checksums are written last."""
    return working.exists() and working.run.name in read_checksums(working.path)


def _restore_former(folder: FoldFolder) -> None:
    """Put back a fold that was about to be replaced when a process was killed."""
    if FoldFolder(folder.former).exists() and not folder.path.exists():
        os.replace(folder.former, folder.path)
    _discard(folder.former)


def _discard(path: Path) -> None:
    """Remove a folder, first of all the file that makes it a complete one, or one to resume."""
    if path.exists():
        folder = FoldFolder(path)
        for file in (folder.run, path / folder.state.name):
            file.unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
