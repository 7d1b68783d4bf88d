"""``postprocess.json``: the fitted calibrators and thresholds of a run, tied to its folds."""

from __future__ import annotations

from typing import Any

from auxfold.errors import InputError
from auxfold.storage.checksums import read_json_checked
from auxfold.storage.run_folder import FoldFolder, RunFolder

FINGERPRINTS = ("experiment_fingerprint", "data_fingerprint")  # of the folds that it was fitted on


def postprocess_record(folder: RunFolder, columns: dict[str, Any], n_rows: int) -> dict[str, Any]:
    """The content of ``postprocess.json``.

    Args:
        folder: the run.
        columns: what ``fit_postprocess`` returned.
        n_rows: the number of rows that it was fitted on.
    """
    run = folder.fold(0).read_run()
    fingerprints = {name: run[name] for name in FINGERPRINTS}
    return {**fingerprints, "rows": n_rows, "columns": columns}


def load_postprocess_record(folder: RunFolder, fold: FoldFolder) -> dict[str, Any]:
    """The content of a run's ``postprocess.json``, checked to have been fitted on its folds.

    Args:
        folder: the run.
        fold: one of its folds.

    Raises:
        InputError: there is no such file, it is damaged, or it was fitted on other folds than this
            one.
    """
    if not folder.postprocess.is_file():
        raise InputError(
            f"no {folder.postprocess} with thresholds and calibration; run scripts/evaluate.py "
            f"first"
        )
    record: dict[str, Any] = read_json_checked(folder.postprocess, "run scripts/evaluate.py again")
    run = fold.read_run()
    if any(record[name] != run[name] for name in FINGERPRINTS):
        raise InputError(
            f"{folder.postprocess} is of other folds than these; run scripts/evaluate.py again"
        )
    return record
