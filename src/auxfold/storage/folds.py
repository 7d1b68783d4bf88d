"""The file of folds: which row is in which fold, and what the folds were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.storage.atomic import write_frame
from auxfold.storage.records import read_record, write_record
from auxfold.storage.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy as np


def write_folds(
    folder: RunFolder, ids: np.ndarray, folds: np.ndarray, info: dict[str, Any]
) -> None:
    """Store the fold of every id and what the folds were made from."""
    import pandas as pd  # not at the top: every command imports this module, `--help` included

    # The record goes first and comes last: folds without it are no folds.
    folder.folds_info.unlink(missing_ok=True)
    write_frame(folder.folds, pd.DataFrame({"id": ids, "fold": folds.astype("int16")}))
    write_record(folder.folds_info, info)


def check_folds_exist(folder: RunFolder) -> None:
    """Refuse a run folder without folds.

    Raises:
        InputError: there are no folds yet.
    """
    if not folder.folds.is_file() or not folder.folds_info.is_file():
        raise InputError(f"no {folder.folds}; run scripts/make_folds.py first")
    read_record(folder.folds_info)


def read_folds(folder: RunFolder, ids: np.ndarray, expected: dict[str, Any]) -> np.ndarray:
    """The fold of every id.

    Raises:
        InputError: there are no folds yet, they were made from other rows or settings than
            ``expected``, or by another version of auxfold.
    """
    import pandas as pd

    check_folds_exist(folder)
    info = read_record(folder.folds_info)
    for key, value in expected.items():
        if info.get(key) != value:
            raise InputError(
                f"{folder.folds} was made with {key} = {info.get(key)!r}, now it is {value!r}; "
                f"put the input back, or make new folds with make_folds.py --overwrite "
                f"(and train every fold again)"
            )
    frame = pd.read_parquet(folder.folds)
    by_id = frame.set_index("id")["fold"]
    return by_id.loc[ids].to_numpy(dtype=int)


def check_fold(experiment: Experiment, fold: int | str) -> None:
    """Refuse a fold that the experiment does not have.

    Raises:
        InputError: with the folds that there are.
    """
    names = experiment.folds.names
    if fold not in names:
        known = "the one split is fold 0" if len(names) == 1 else f"folds are 0 to {names[-1]}"
        raise InputError(f"--fold {fold}: {known}; or 'all', or 'full'")
