"""``postprocess.json``: thresholds and calibration of a run, as prediction reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from auxfold.run_folder import RunFolder
from auxfold.scoring.calibration import fit_calibration
from auxfold.tasks import Task
from auxfold.whole_files import read_json


def fit_postprocess(
    folder: RunFolder, tasks: list[Task], labels: np.ndarray, oof: pd.DataFrame, record: dict
) -> dict[str, Any]:
    """What is applied to new predictions, fitted on all out-of-fold rows.

    Args:
        folder: of the run.
        tasks: all tasks of the experiment.
        labels: as in ``Table.labels``.
        oof: out-of-fold predictions of the same rows.
        record: the cross-validated scores, with their thresholds.

    Returns:
        ``experiment_fingerprint`` and ``data_fingerprint`` of the folds, and ``columns``: label
        column to ``calibration`` by method and ``thresholds`` by rule, ``f1`` and
        ``precision=P``.
    """
    rules = {"f1": record.get("thresholds", {}).get("values", {})}
    rules |= {rule: told["values"] for rule, told in record.get("precision", {}).items()}
    columns: dict[str, dict[str, Any]] = {}
    for column, calibration in fit_calibration(tasks, labels, oof).items():
        thresholds = {rule: values[column] for rule, values in rules.items() if column in values}
        columns[column] = {"calibration": calibration, "thresholds": thresholds}
    run = read_json(folder.fold(0).run)
    return {
        "experiment_fingerprint": run["experiment_fingerprint"],
        "data_fingerprint": run["data_fingerprint"],
        "rows": len(oof),
        "columns": columns,
    }
