"""Score an experiment out of fold, or a prediction file against labels."""

import json
from typing import Any

import pandas as pd

from auxfold.command import experiment_from, parser, run
from auxfold.errors import InputError
from auxfold.experiment import Experiment
from auxfold.run_folder import RunFolder, write_frame, write_json, write_text
from auxfold.scoring.cross_validation import cross_validate, worst_errors
from auxfold.scoring.postprocess import fit_postprocess
from auxfold.scoring.released import score_file
from auxfold.scoring.report import (
    calibration_lines,
    cv_table,
    ensemble_line,
    render_report,
    threshold_lines,
)
from auxfold.tasks import make_tasks
from auxfold.tracking import Tracker
from auxfold.training.rows import create_folds

EXAMPLES = """\
  python scripts/evaluate.py --config configs/sample.toml
  python scripts/evaluate.py --config configs/sample.toml --json
  python scripts/evaluate.py --config configs/sample.toml --precision 0.9
  python scripts/evaluate.py --config configs/sample.toml --metric auc \\
      --labels input/sample/test_labels.csv --predictions outputs/sample/submission.csv
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--labels", metavar="F", help="label file to score against")
    arguments.add_argument("--predictions", metavar="P", help="prediction file to score")
    arguments.add_argument("--metric", help="default: the main task's (auc if binary)")
    help_text = "tune thresholds for this precision too, e.g. 0.9; repeatable"
    arguments.add_argument("--precision", type=float, action="append", metavar="P", help=help_text)
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    given = arguments.parse_args()
    if (given.labels is None) != (given.predictions is None):
        raise InputError("--labels and --predictions go together")
    precisions = check_precisions(given.precision or [])
    experiment = experiment_from(given)
    if given.labels:
        scores = score_file(given.labels, given.predictions, given.metric, experiment)
        show(scores, given.json)
        return
    table, folds = create_folds(experiment)
    record, oof = cross_validate(experiment, table, folds, precisions)
    folder = RunFolder.of(experiment)
    write_frame(folder.oof, oof)
    write_json(folder.cross_validation, record)
    tasks = make_tasks(experiment)
    write_json(folder.postprocess, fit_postprocess(folder, tasks, table.labels, oof, record))
    errors = worst_errors(experiment, table, folds, oof)
    page = render_report(experiment, record, table, folds, oof, hardest=errors[:50])
    write_text(folder.report, page)
    track(experiment, record, errors)
    if given.json:
        show(record["oof"], True)
        return
    print(cv_table(record))
    for line in [*threshold_lines(record), *calibration_lines(record)]:
        print(line)
    if "test" in record:
        print(ensemble_line(record["test"]))
    print(f"scores: {folder.cross_validation}\nreport: {folder.report}")


def check_precisions(precisions: list[float]) -> list[float]:
    """Each once, and refused where no share of rows can be it."""
    for precision in precisions:
        if not 0 < precision <= 1:
            raise InputError(f"--precision {precision:g}: a number above 0 and up to 1")
    return list(dict.fromkeys(precisions))


def track(experiment: Experiment, record: dict[str, Any], errors: pd.DataFrame) -> None:
    """One W&B run for the cross-validation of an experiment, the same one at every evaluation."""
    folder = RunFolder.of(experiment)
    run_id = f"{experiment.name}-cv-{experiment.fingerprint()}"
    tracker = Tracker(experiment, "evaluate", "cv", folder.path, run_id=run_id)
    for kind in ("oof", "mean", "std"):
        tracker.summary({f"{kind}/{metric}": value for metric, value in record[kind].items()})
    if "test" in record:
        *_, whole = record["test"]["scores"].values()
        tracker.summary({f"test/{record['test']['metric']}": whole[0]})
    tracker.table("worst_errors", errors)
    tracker.page("report", folder.report)
    tracker.artifact(f"{experiment.name}-oof", "oof", folder.oof, folder.cross_validation)
    tracker.finish()


def show(scores: dict[str, float | None], as_json: bool) -> None:
    """Metric names and values, as JSON or line by line."""
    if as_json:
        print(json.dumps(scores, allow_nan=False))
        return
    for name, value in scores.items():
        print(f"{name:40} {'undefined' if value is None else f'{value:.5f}'}")


if __name__ == "__main__":
    run(main)
