"""Predict with the fold ensemble: a test file in, a submission out."""

from pathlib import Path

from auxfold.command import experiment_from, parser, run
from auxfold.data.table import read_texts
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.submission import SampleSubmission
from auxfold.run_folder import FULL, RunFolder, write_frame
from auxfold.tasks import prediction_frame

EXAMPLES = """\
  python scripts/inference.py --config configs/sample.toml
  python scripts/inference.py --config configs/sample.toml --folds 0,2
  python scripts/inference.py --config configs/sample.toml --folds full --all-tasks
  python scripts/inference.py --config configs/sample.toml --input more.csv --output more_out.csv
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--folds", help="folds to average, e.g. 0,2 or full (default: all)")
    arguments.add_argument("--input", help="table to predict (default: data.test)")
    arguments.add_argument("--output", help="default: outputs/<name>/submission.csv")
    which = arguments.add_mutually_exclusive_group()
    which.add_argument("--task", help="predict this task instead of the main one")
    which.add_argument("--all-tasks", action="store_true", help="predict every task's columns")
    given = arguments.parse_args()
    experiment = experiment_from(given)
    source = given.input or experiment.data.test
    if source is None:
        raise InputError("the experiment has no data.test; give --input")
    output = Path(given.output or RunFolder.of(experiment).submission)
    if output.suffix not in (".csv", ".parquet"):
        raise InputError(f"--output {output}: give a .csv or .parquet file")
    ensemble = Ensemble.of(experiment, parse_folds(given.folds))
    every = [task.name for task in experiment.tasks]
    tasks = ensemble.tasks(every if given.all_tasks else [given.task] if given.task else None)
    table = read_texts(experiment, source)
    sample = None
    if experiment.data.sample_submission and not given.input and not given.task:
        columns = [column for task in tasks for column in task.prediction_columns]
        path = experiment.data.sample_submission
        sample = SampleSubmission.read(path, table.ids, columns)
    predictions = ensemble.predict(table, tasks, experiment.inference.average)
    frame = prediction_frame(experiment.data.id, table.ids, tasks, predictions)
    frame = sample.fill(frame) if sample else frame
    write_frame(output, frame)
    print(f"{len(frame):,} rows, {len(ensemble.folders)} models averaged: {output}")


def parse_folds(text: str | None) -> list[int | str] | None:
    """``"0,2"`` to ``[0, 2]``; ``full`` stays a word."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part == FULL or part.isdecimal() for part in parts):
        raise InputError(f"--folds {text}: numbers separated by commas, or 'full'")
    return [part if part == FULL else int(part) for part in parts]


if __name__ == "__main__":
    run(main)
