"""Score an experiment out of fold, or a prediction file against labels."""

import json
from typing import Any

import pandas as pd

from auxfold.command import experiment_from, parser, run
from auxfold.errors import InputError
from auxfold.experiment import Experiment
from auxfold.run_folder import RunFolder, write_frame, write_json, write_text
from auxfold.scoring.cross_validation import cross_validate, held_out, worst_errors
from auxfold.scoring.released import score_file
from auxfold.scoring.report import cv_table, ensemble_line, render_report, threshold_lines
from auxfold.tasks import shown
from auxfold.tracking import Tracker
from auxfold.training.rows import create_folds

EXAMPLES = """\
  python scripts/evaluate.py --config configs/sample.toml
  python scripts/evaluate.py --config configs/sample.toml --json
  python scripts/evaluate.py --config configs/sample.toml --metric auc \\
      --labels input/sample/test_labels.csv --predictions outputs/sample/submission.csv
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--labels", metavar="F", help="label file to score against")
    arguments.add_argument("--predictions", metavar="P", help="prediction file to score")
    arguments.add_argument("--metric", help="default: the main task's (auc if binary)")
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    given = arguments.parse_args()
    if (given.labels is None) != (given.predictions is None):
        raise InputError("--labels and --predictions go together")
    experiment = experiment_from(given)
    if given.labels:
        scores = score_file(given.labels, given.predictions, given.metric, experiment)
        show(scores, given.json)
        return
    table, folds = create_folds(experiment)
    record, oof = cross_validate(experiment, table, folds)
    table, folds = held_out(table, folds)
    folder = RunFolder.of(experiment)
    write_frame(folder.oof, oof)
    write_json(folder.cross_validation, record)
    errors = worst_errors(experiment, table, folds, oof)
    page = render_report(experiment, record, table, folds, oof, hardest=errors[:50])
    write_text(folder.report, page)
    track(experiment, record, errors)
    if given.json:
        show(record["oof"], True)
        return
    print(cv_table({**record, "oof": shown(experiment, record["oof"])}))
    for line in threshold_lines(record.get("thresholds", {})):
        print(line)
    if "test" in record:
        print(ensemble_line(record["test"]))
    print(f"scores: {folder.cross_validation}\nreport: {folder.report}")


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
