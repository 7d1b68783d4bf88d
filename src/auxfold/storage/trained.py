"""Trained folds: whether they are there, and whether they belong together."""

from __future__ import annotations

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.storage.run_folder import FoldFolder, RunFolder


def trained_folds(run_folder: RunFolder, names: list[int | str]) -> list[FoldFolder]:
    """The folders of the named folds.

    Raises:
        InputError: one is not trained, or named twice.
    """
    if len(set(names)) != len(names):
        raise InputError(f"a fold is named twice: {', '.join(map(str, names))}")
    folders = [run_folder.fold(name) for name in names]
    missing = [str(n) for n, f in zip(names, folders, strict=True) if not f.exists()]
    if missing:
        raise InputError(
            f"{run_folder.path}: fold {', '.join(missing)} not trained yet; run "
            f"scripts/train.py --fold {missing[0]}, or choose others with --folds"
        )
    return folders


def check_together(folders: list[FoldFolder]) -> Experiment:
    """The experiment of folds that belong together.

    Raises:
        InputError: they differ in experiment or data, or another version of auxfold trained them.
    """
    experiments = [folder.load_experiment() for folder in folders]
    first, data = folders[0], folders[0].read_run()["data_fingerprint"]
    for folder, experiment in zip(folders[1:], experiments[1:], strict=True):
        same = experiment.fingerprint() == experiments[0].fingerprint()
        if not same or folder.read_run()["data_fingerprint"] != data:
            raise InputError(
                f"{folder.path} and {first.path} do not belong together: they differ in "
                f"{'data' if same else 'experiment'} fingerprint; train one of them again with "
                f"--overwrite"
            )
    return experiments[0]


def check_trained_with(
    folders: list[FoldFolder], experiment: Experiment, data_fingerprint: str | None = None
) -> Experiment:
    """Refuse folds that were trained with another experiment or on other data.

    Returns:
        The experiment as they were trained.

    Raises:
        InputError: naming what differs.
    """
    trained, first = check_together(folders), folders[0]
    if trained.fingerprint() != experiment.fingerprint():
        raise InputError(
            f"{first.path} was trained with another experiment than the one given; "
            f"compare it with {first.experiment}, or train again with --overwrite"
        )
    trained_on = first.read_run()["data_fingerprint"]
    if data_fingerprint not in (None, trained_on):
        raise InputError(
            f"{first.path} was trained on other data than {experiment.data.path}; "
            f"train it again with --overwrite"
        )
    return trained
