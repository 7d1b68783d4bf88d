"""The cross-validation of an experiment as a W&B run."""

from __future__ import annotations

from typing import Any

import pandas as pd

from auxfold.config import BIAS
from auxfold.config.experiment import Experiment
from auxfold.fairness.bias_table import bias_frame
from auxfold.fairness.jigsaw_bias import Bias
from auxfold.storage.run_folder import RunFolder
from auxfold.tracking.tracker import Tracker


def log_cross_validation(
    experiment: Experiment, record: dict[str, Any], errors: pd.DataFrame
) -> None:
    """Log scores, tables and files; every evaluation of an experiment continues the same run.

    The report and the texts of the errors are logged only with ``tracking.texts``.

    Args:
        experiment: whose run folder holds the out-of-fold predictions and the report.
        record: of ``cv.json``.
        errors: the rows with the largest errors, from ``worst_errors``.
    """
    folder = RunFolder.of(experiment)
    run_id = f"{experiment.name}-cv-{experiment.fingerprint()}"
    tracker = Tracker(experiment, "evaluate", "cv", folder.path, run_id=run_id)
    for kind in ("oof", "mean", "std"):
        tracker.summary({f"{kind}/{metric}": value for metric, value in record[kind].items()})
    if "test" in record:
        test = record["test"]
        for whole in [*test["scores"].values()][-1:]:
            tracker.summary({f"test/{test['metric']}": whole[0]})
        if "soup" in test:
            tracker.summary({f"test_soup/{test['metric']}": test["soup"]})
    if "bias" in record:
        tracker.table(BIAS, bias_frame(Bias.from_record(record["bias"])))
    if experiment.tracking.texts:
        tracker.table("worst_errors", errors)
        tracker.page("report", folder.report)
    else:
        tracker.table("worst_errors", errors.drop(columns="text"))
    tracker.artifact(f"{experiment.name}-oof", "oof", folder.oof, folder.cross_validation)
    tracker.finish()
