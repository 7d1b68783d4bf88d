"""Continue with the folds that an earlier version of the notebook has written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from auxfold.config.differences import describe_differences
from auxfold.config.experiment import Experiment, load_experiment
from auxfold.errors import InputError
from auxfold.storage.atomic import atomic_write_folder
from auxfold.storage.records import read_record, write_record
from auxfold.storage.run_folder import FoldFolder, RunFolder

OUTPUT_RECORD = "kaggle_training.json"  # by which the output of a version is found


def write_output_record(experiment: Experiment, data_fingerprint: str) -> None:
    """Note what the folds of this version are trained on, for the versions that follow."""
    record = {"experiment": experiment.name, "data_fingerprint": data_fingerprint}
    write_record(RunFolder.of(experiment).path / OUTPUT_RECORD, record)


def restore_folds(
    experiment: Experiment, data_fingerprint: str, folds: list[int | str], root: Path
) -> list[str]:
    """Copy the folds of an earlier version, finished or not, into the run folder.

    Args:
        experiment: what is trained, with the paths of this machine.
        data_fingerprint: of the training table.
        folds: what is trained.
        root: the folder of all inputs, to which the output of an earlier version is attached.

    Returns:
        A line for each fold that was copied, and for each output that cannot be continued.
    """
    lines, run_folder = [], RunFolder.of(experiment)
    for path in sorted(root.rglob(OUTPUT_RECORD)):
        earlier = RunFolder(path.parent)
        try:
            reason = _describe_mismatch(read_record(path), earlier, experiment, data_fingerprint)
        except InputError as error:
            reason = str(error)
        if reason is not None:
            lines.append(f"{earlier.path} is not continued: {reason}")
            continue
        for fold in folds:
            if restored := _restore_fold(earlier.fold(fold), run_folder.fold(fold)):
                lines.append(f"fold {fold}: {restored} in {earlier.path}")
    return lines


def _describe_mismatch(
    record: dict[str, Any], earlier: RunFolder, experiment: Experiment, data_fingerprint: str
) -> str | None:
    """Why the folds of an earlier version are not those of this one; None where they are."""
    if record["experiment"] != experiment.name:
        return f"it is of the experiment {record['experiment']}"
    stored = load_experiment(earlier.experiment, trust_reader=False)
    differences = describe_differences(stored, experiment, "here it is")
    if differences is not None:
        return f"it has {differences}"
    if record["data_fingerprint"] != data_fingerprint:
        return "it was trained on other rows"
    return None


def _restore_fold(earlier: FoldFolder, folder: FoldFolder) -> str | None:
    """Copy a fold, or its unfinished training; what was copied, in words."""
    if folder.exists() or folder.working.exists():
        return None
    if earlier.exists():
        _copy_folder(earlier.path, folder.path)
        return "finished"
    if earlier.state.is_file():
        _copy_folder(earlier.working, folder.working)
        return "begun"
    return None


def _copy_folder(source: Path, target: Path) -> None:
    """Copy the files of a folder, which are read-only where they are."""

    def write(unfinished: Path) -> None:
        for path in source.iterdir():
            if path.is_file():
                shutil.copyfile(path, unfinished / path.name)

    atomic_write_folder(target, write)
