"""The file of folds: which row is in which fold, and what the folds were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auxfold.config import Folds
from auxfold.config.differences import describe_differences
from auxfold.config.experiment import Experiment, load_experiment
from auxfold.config.toml_text import toml_value
from auxfold.errors import InputError
from auxfold.storage.atomic import frame_writer
from auxfold.storage.checksums import atomic_write_checked, check_file, read_frame
from auxfold.storage.records import read_record, write_record
from auxfold.storage.run_folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

# What says how rows and their labels are read: sections, and keys of a task.
READING_SECTIONS = ("data", "identities", "sample_weights")
READING_KEYS = (
    "kind", "columns", "na_values", "classes", "normalize_votes", "positive", "positives", "tags",
    "cell_format", "separator", "min_count", "unseen", "empty", "row_weight", "pos_weight",
)  # fmt: skip
_REMEDY = "make new folds with make_folds.py --overwrite (and train every fold again)"
_DAMAGE_REMEDY = f"put it back from a copy, or {_REMEDY}"
# Of keys that a record of folds may lack, since it was written before there was such a key.
_DEFAULTS = {name: field.default for name, field in Folds.model_fields.items()}


def write_folds(
    folder: RunFolder, ids: np.ndarray, folds: np.ndarray, info: dict[str, Any]
) -> None:
    """Store the fold of every id and what the folds were made from."""
    import pandas as pd  # not at the top: every command imports this module, `--help` included

    # The record goes first and comes last: folds without it are no folds.
    folder.folds_info.unlink(missing_ok=True)
    frame = pd.DataFrame({"id": ids, "fold": folds.astype("int16")})
    atomic_write_checked(folder.folds, frame_writer(folder.folds, frame))
    write_record(folder.folds_info, info)


def folds_settings(experiment: Experiment) -> dict[str, Any]:
    """The settings that folds are made from, by their key in the record of the folds."""
    folds = experiment.folds
    return {
        "n_splits": folds.n_splits,
        "group_duplicates": folds.group_duplicates,
        "group_near_duplicates": folds.group_near_duplicates,
        "group": experiment.data.group,
        # For a file, its rows are part of the fingerprint of the data.
        "validation": "file" if folds.validation_file else folds.validation,
        "seed": folds.seed if folds.seed is not None else experiment.seed,
    }


def check_folds(folder: RunFolder, experiment: Experiment) -> dict[str, Any]:
    """The record of the folds, which are there and were made with the settings of an experiment.

    Raises:
        InputError: there are no folds yet, or they were made with other settings or by another
            version of auxfold.
    """
    if not folder.folds.is_file() or not folder.folds_info.is_file():
        raise InputError(f"no {folder.folds}; run scripts/make_folds.py first")
    check_file(folder.folds_info, _DAMAGE_REMEDY)
    info = read_record(folder.folds_info)
    made_with = {**_DEFAULTS, **info}
    differences = "; ".join(
        f"{_name_key(key, experiment)} = {_format(made_with.get(key))}, you gave {_format(value)}"
        for key, value in folds_settings(experiment).items()
        if made_with.get(key) != value
    )
    if differences:
        run = f"use --run {folder.path.name}, or " if folder.experiment.is_file() else ""
        raise InputError(f"{folder.folds} was made with {differences}; {run}{_REMEDY}")
    return info


def read_folds(
    folder: RunFolder, ids: np.ndarray, experiment: Experiment, data_fingerprint: str
) -> np.ndarray:
    """The fold of every id.

    Raises:
        InputError: as of :func:`check_folds`, or they were made from other rows; or the file is
            damaged, lacks a row or has a fold that the experiment does not have.
    """
    import numpy as np

    info = check_folds(folder, experiment)
    if info["data_fingerprint"] != data_fingerprint:
        if differences := _label_differences(folder, experiment):
            raise InputError(
                f"{folder.folds} was made with {differences}; use --run {folder.path.name}, or "
                f"{_REMEDY}"
            )
        raise InputError(
            f"{folder.folds} was made from other rows than {experiment.data.path} has now; put the "
            f"file back as it was, or {_REMEDY}"
        )
    by_id = read_frame(folder.folds, remedy=_DAMAGE_REMEDY).set_index("id")["fold"]
    if not np.array_equal(by_id.index.to_numpy(), ids):  # usually they are in the same order
        _check_ids(by_id.index.to_numpy(), ids, folder.folds)
        by_id = by_id.loc[ids]
    folds = by_id.to_numpy(dtype=int)
    _check_numbers(folds, ids, experiment, folder.folds)
    return folds


def _check_ids(stored: np.ndarray, ids: np.ndarray, path: Path) -> None:
    """Refuse folds that do not have every row once."""
    import numpy as np

    missing = ids[~np.isin(ids, stored)]
    if len(missing):
        problem = f"lacks {len(missing):,} of {len(ids):,} rows, the first of them {missing[0]!r}"
    elif len(stored) != len(ids):
        problem = f"has {len(stored):,} rows, and the table has {len(ids):,}"
    else:
        return
    raise InputError(f"{path} {problem}; {_REMEDY}")


def _check_numbers(folds: np.ndarray, ids: np.ndarray, experiment: Experiment, path: Path) -> None:
    """Refuse a fold that the settings do not have; -1 is for rows that are only trained on."""
    import numpy as np

    names = list(experiment.folds.names)
    is_cross_validated = experiment.folds.validation is None and not experiment.data.from_test
    is_known = np.isin(folds, names if is_cross_validated else [-1, *names])
    if not is_known.all():
        row = np.flatnonzero(~is_known)[0]
        raise InputError(
            f"{path} has row {ids[row]!r} in fold {folds[row]}, which is not a fold of the "
            f"experiment ({names[0]} to {names[-1]}); {_REMEDY}"
        )


def _label_differences(folder: RunFolder, experiment: Experiment) -> str | None:
    """How an experiment reads other rows or labels than that of the folds; None if it does not."""
    if not folder.experiment.is_file():
        return None
    stored = load_experiment(folder.experiment)
    differences = describe_differences(stored, experiment, counts=_says_how_to_read)
    if differences is None and stored.label_columns != experiment.label_columns:
        return "the tasks in another order"
    return differences


def _says_how_to_read(key: str) -> bool:
    section, *rest = key.split(".")
    return section in READING_SECTIONS or (section == "tasks" and rest[1] in READING_KEYS)


def _name_key(key: str, experiment: Experiment) -> str:
    """What a key of the record is called in the experiment file."""
    if key == "group" or (key == "seed" and experiment.folds.seed is None):
        return {"group": "data.group", "seed": "seed"}[key]
    return f"folds.{key}"


def _format(value: Any) -> str:
    return "nothing" if value is None else toml_value(value)


def check_fold(experiment: Experiment, fold: int | str) -> None:
    """Refuse a fold that the experiment does not have.

    Raises:
        InputError: with the folds that there are.
    """
    names = experiment.folds.names
    if fold not in names:
        known = "the one split is fold 0" if len(names) == 1 else f"folds are 0 to {names[-1]}"
        raise InputError(f"--fold {fold}: {known}; or 'all', or 'full'")
