"""Trained folds: whether they are there, and whether they belong together."""

from __future__ import annotations

from auxfold.config.differences import describe_differences
from auxfold.config.experiment import Experiment, load_experiment
from auxfold.errors import InputError
from auxfold.storage.run_folder import FoldFolder, RunFolder


def trained_folds(
    run_folder: RunFolder,
    names: list[int | str],
    experiment: Experiment | None = None,
    are_chosen: bool = True,
) -> list[FoldFolder]:
    """The folders of the named folds.

    Args:
        run_folder: the folder of the run.
        names: the folds.
        experiment: with which they have to be trained; None: with any.
        are_chosen: whether other folds would do, too.

    Raises:
        InputError: one is not trained, is trained with another experiment, or is named twice.
    """
    if len(set(names)) != len(names):
        raise InputError(f"a fold is named twice: {', '.join(map(str, names))}")
    folders = [run_folder.fold(name) for name in names]
    missing = [str(n) for n, f in zip(names, folders, strict=True) if not f.exists()]
    if missing and experiment is not None:
        # Other settings may be the reason: of `folds.n_splits` there are fewer folds than asked.
        for name in run_folder.finished()[:1]:
            check_settings(run_folder.fold(name), experiment)
    if missing:
        choice = ", or choose others with --folds" if are_chosen else ""
        raise InputError(
            f"{run_folder.path}: fold {', '.join(missing)} not trained yet; run "
            f"scripts/train.py --fold {missing[0]}{choice}"
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
        differences = describe_differences(experiments[0], experiment, f"{folder.path.name} has")
        if differences is not None:
            reason = f"{first.path.name} has {differences}"
        elif folder.read_run()["data_fingerprint"] != data:
            reason = "they were trained on different rows"
        else:
            continue
        raise InputError(
            f"{folder.path} and {first.path} do not belong together: {reason}; "
            f"train one of them again with --overwrite"
        )
    return experiments[0]


def check_settings(folder: FoldFolder, experiment: Experiment) -> Experiment:
    """Refuse a fold that was trained with another experiment.

    Returns:
        The experiment as it was trained.

    Raises:
        InputError: naming the keys that differ.
    """
    trained = folder.load_experiment()
    differences = describe_differences(trained, experiment)
    if differences is None:
        return trained
    run_folder = RunFolder(folder.path.parent)
    raise InputError(
        f"{folder.path} was trained with {differences}; use "
        f"{_option_for(run_folder, folder, trained)}, or train again with --overwrite"
    )


def _option_for(run_folder: RunFolder, folder: FoldFolder, trained: Experiment) -> str:
    """The option that reads the experiment with which a fold was trained."""
    stored = run_folder.experiment
    if stored.is_file() and describe_differences(trained, load_experiment(stored)) is None:
        return f"--run {run_folder.path.name}"
    return f"--config {folder.experiment}"


def check_trained_with(
    folders: list[FoldFolder], experiment: Experiment, data_fingerprint: str | None = None
) -> Experiment:
    """Refuse folds that were trained with another experiment or on other data.

    Returns:
        The experiment as they were trained.

    Raises:
        InputError: naming what differs.
    """
    check_together(folders)
    first = folders[0]
    trained = check_settings(first, experiment)
    trained_on = first.read_run()["data_fingerprint"]
    if data_fingerprint not in (None, trained_on):
        raise InputError(
            f"{first.path} was trained on other data than {experiment.data.path}; "
            f"train it again with --overwrite"
        )
    return trained
