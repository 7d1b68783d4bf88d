"""The folder of a fold while it is trained, from its start to the finished fold."""

from __future__ import annotations

import os
import shutil

from auxfold.config.differences import describe_differences
from auxfold.config.experiment import Experiment, load_experiment, to_toml
from auxfold.errors import InputError
from auxfold.storage.atomic import write_text
from auxfold.storage.run_folder import FoldFolder


def start_working(
    folder: FoldFolder, experiment: Experiment, resume: bool = False, overwrite: bool = False
) -> None:
    """Make the working folder of a fold, with the experiment in it.

    Raises:
        InputError: the fold exists, finished or not, and neither flag was given; or the training to
            resume was started with other settings.
    """
    check_overwrite(folder, resume, overwrite)
    if overwrite and folder.working.exists():
        shutil.rmtree(folder.working)
    folder.working.mkdir(parents=True, exist_ok=True)
    stored = FoldFolder(folder.working).experiment
    if stored.is_file():
        differences = describe_differences(load_experiment(stored), experiment)
        if differences is not None:
            raise InputError(
                f"{folder.working} was started with {differences}; use --config {stored} to "
                f"continue it, or give --overwrite to start again"
            )
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


def finish_working(folder: FoldFolder) -> None:
    """Turn the working folder into the finished one."""
    folder.state.unlink(missing_ok=True)
    folder.best.unlink(missing_ok=True)
    for _, path in folder.list_evaluation_weights():
        path.unlink()
    for path in folder.working.glob(".*"):  # what a killed process had begun to write
        path.unlink()
    if folder.path.exists():
        shutil.rmtree(folder.path)
    os.replace(folder.working, folder.path)
