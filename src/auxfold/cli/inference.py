"""Predict with the fold ensemble: a test file in, a submission out."""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from auxfold.cli.options import (
    add_other_names,
    experiment_from,
    parse_folds,
    parse_renames,
    parser,
    refuse,
    refuse_with_blend,
)
from auxfold.config.experiment import Experiment
from auxfold.data.files import header_of
from auxfold.data.table import read_texts
from auxfold.errors import InputError
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.postprocess import Postprocess
from auxfold.inference.predictor import Predictor
from auxfold.inference.submission import SampleSubmission, columns_asked_for
from auxfold.storage.atomic import write_frame
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.tasks import Task, prediction_frame
from auxfold.tracking.tracker import Tracker

EXAMPLES = """\
  python scripts/inference.py --config configs/sample.toml
  python scripts/inference.py --config configs/sample.toml --folds 0,2
  python scripts/inference.py --config configs/sample.toml --folds full --all-tasks
  python scripts/inference.py --config configs/sample.toml --input more.csv --output more_out.csv
  python scripts/inference.py --config configs/sample.toml --input posts.parquet \\
      --rename text=comment_text --without-ids --output posts_out.csv
  python scripts/inference.py --config configs/sample.toml --calibrate temperature
  python scripts/inference.py --config configs/sample.toml --all-tasks --decide f1 --output 01.csv
  python scripts/inference.py --blend outputs/my_blend
  python scripts/inference.py --blend outputs/my_blend --calibrate isotonic --output calibrated.csv
  python scripts/inference.py --config configs/sample.toml --all-tasks --text "What a lovely garden"
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    help_text = "predict with every run of a blend and its weights: outputs/<name> of blend.py"
    arguments.add_argument("--blend", metavar="DIR", help=help_text)
    arguments.add_argument("--folds", help="folds to average, e.g. 0,2 or full (default: all)")
    what = arguments.add_mutually_exclusive_group()
    what.add_argument("--input", help="table to predict (default: data.test)")
    help_text = "print the prediction of this text; repeatable; a pair: two texts"
    what.add_argument("--text", nargs="+", action="append", metavar="TEXT", help=help_text)
    arguments.add_argument(
        "--output", help="default: outputs/<name>/submission.csv, or predictions_<tasks>.csv"
    )
    add_other_names(arguments, "the table of --input")
    which = arguments.add_mutually_exclusive_group()
    which.add_argument("--task", help="predict this task instead of the main one")
    which.add_argument("--all-tasks", action="store_true", help="predict every task's columns")
    help_text = "calibrate probabilities by what evaluate.py found out of fold"
    arguments.add_argument("--calibrate", choices=["temperature", "isotonic"], help=help_text)
    help_text = "answer 1 or 0 by evaluate.py's thresholds: f1, or precision=0.9"
    arguments.add_argument("--decide", metavar="RULE", help=help_text)
    given = arguments.parse_args()
    if given.blend:
        predict_blend(given)
        return
    experiment = experiment_from(given)
    if given.text:
        refuse(given, ("output", "rename", "without_ids"), "has no effect with --text")
        names = "all" if given.all_tasks else given.task
        print(predict_texts(experiment, given, names))
        return
    source = given.input or experiment.data.test
    if source is None:
        raise InputError("the experiment has no data.test; give --input")
    check_names(given)
    ensemble = Ensemble.of(experiment, parse_folds(given.folds))
    every = [task.name for task in experiment.tasks]
    tasks = ensemble.tasks(every if given.all_tasks else [given.task] if given.task else None)
    average = experiment.inference.average
    after = Postprocess.of(ensemble, tasks, given.calibrate, given.decide, average)
    table = read_texts(experiment, source, parse_renames(given.rename), given.without_ids)
    sample = None if given.input else sample_for(experiment, tasks, table.ids)
    folder = RunFolder.of(experiment)
    output = Path(given.output or default_output(folder, experiment, tasks, sample))
    check_output(output, source, is_named=given.output is not None, is_other=bool(given.input))
    started = time.perf_counter()
    by_fold = ByFold(ensemble)
    predictions = ensemble.predict(table, tasks, average, on_fold=by_fold.keep)
    seconds = time.perf_counter() - started
    predictions = after.apply(tasks, predictions)
    frame = prediction_frame(experiment.data.id_column, table.ids, tasks, predictions)
    frame = sample.fill(frame) if sample else frame
    write_frame(output, frame)
    if given.input is None and given.folds is None:
        by_fold.write(table.ids)
    print(f"{len(frame):,} rows, {len(ensemble.folders)} models averaged: {output}")
    track(experiment, ensemble, len(table), seconds)


def predict_blend(given: argparse.Namespace) -> None:
    """The test file by every run of a blend: the first run's ids and sample submission hold."""
    refuse_with_blend(given, ("set", "rows", "folds", "text", "task", "all_tasks"))
    check_names(given)
    blend = Blend.at(given.blend)
    experiment, tasks = blend.experiment, blend.tasks()
    after = Postprocess.of_blend(blend.record, tasks, given.calibrate, given.decide)
    tables = blend.tables(given.input, parse_renames(given.rename), given.without_ids)
    ids = tables[0].ids
    sample = None if given.input else sample_for(experiment, tasks, ids)
    output = Path(given.output or default_output(blend.folder, experiment, tasks, sample))
    check_output(output, tables[0].path, given.output is not None, bool(given.input))
    predictions = after.apply(tasks, blend.predict(tables))
    frame = prediction_frame(experiment.data.id_column, ids, tasks, predictions)
    frame = sample.fill(frame) if sample else frame
    write_frame(output, frame)
    asked = [blend.members[number] for number in blend.needed()]
    models = sum(len(member.folders) for member in asked)
    runs = "1 run" if len(asked) == 1 else f"{len(asked)} runs"
    print(f"{len(frame):,} rows, {runs}, {models} models blended: {output}")


def sample_for(
    experiment: Experiment, tasks: list[Task], ids: np.ndarray
) -> SampleSubmission | None:
    """The competition's sample submission, if these tasks are what it asks for."""
    path = experiment.data.sample_submission
    main_alone = [task.name for task in tasks] == [experiment.main_task.name]
    if path is None:
        return None
    asked = set(header_of(path)[1:])
    if not main_alone and not asked <= set(columns_asked_for(tasks)):
        return None
    return SampleSubmission.read(path, ids, tasks)


class ByFold:
    """The main task's predictions of every fold: what shows how much the ensemble brings."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.experiment, self.main = ensemble.experiment, ensemble.tasks()[0]
        self.kept: dict[str, np.ndarray] = {}

    def keep(self, folder: FoldFolder, logits: dict[str, np.ndarray]) -> None:
        """Take one fold's predictions, where the main task is among them."""
        if self.main.name in logits:
            name = folder.path.name.removeprefix("fold_")
            self.kept[name] = self.main.activate(logits[self.main.name])

    def write(self, ids: np.ndarray) -> None:
        """All folds below each other, with a column ``fold`` behind the id."""
        if not self.kept:
            return
        pieces = []
        for fold, values in self.kept.items():
            values = {self.main.name: values}
            piece = prediction_frame(self.experiment.data.id_column, ids, [self.main], values)
            piece.insert(1, "fold", fold)
            pieces.append(piece)
        write_frame(RunFolder.of(self.experiment).test_by_fold, pd.concat(pieces))


def track(experiment: Experiment, ensemble: Ensemble, rows: int, seconds: float) -> None:
    """A W&B run with the size and the speed of a prediction."""
    folds = [folder.path.name for folder in ensemble.folders]
    folder = RunFolder.of(experiment).path
    tracker = Tracker(experiment, "inference", "inference", folder, extra={"folds": folds})
    tracker.summary({"rows": rows, "models": len(folds), "seconds": seconds,
                     "rows_per_second": rows * len(folds) / max(seconds, 1e-9)})  # fmt: skip
    tracker.finish()


def default_output(
    folder: RunFolder, experiment: Experiment, tasks: list[Task], sample: SampleSubmission | None
) -> Path:
    """``submission.csv``, or a file of their own for tasks that are no submission."""
    names = [task.name for task in tasks]
    as_asked = sample is not None or experiment.data.sample_submission is None
    is_submission = as_asked and experiment.main_task.name in names
    return folder.submission if is_submission else folder.predictions(names)


def check_names(given: argparse.Namespace) -> None:
    """Refuse other names for a table that was not given."""
    if not given.input and (given.rename or given.without_ids):
        raise InputError("--rename and --without-ids are for the table of --input")


def check_output(output: Path, source: str, is_named: bool, is_other: bool) -> None:
    """Refuse, before anything is computed, a file that predictions must not go to."""
    if is_other and not is_named:
        raise InputError("--input F needs --output F: it is not the competition's submission")
    if output.resolve() == Path(source).resolve():
        raise InputError(f"--output {output} is the table to predict; give another file")
    if output.suffix not in (".csv", ".parquet"):
        raise InputError(f"--output {output}: give a .csv or .parquet file")


def predict_texts(experiment: Experiment, given: argparse.Namespace, tasks: str | None) -> str:
    """A line of predictions for every text given on the command line."""
    width = len(experiment.data.text_columns)
    if any(len(text) != width for text in given.text):
        expected = "one quoted text" if width == 1 else "two quoted texts (a pair)"
        raise InputError(f"--text takes {expected}; repeat --text for more rows")
    rows = [text[0] if width == 1 else tuple(text) for text in given.text]
    predictor = Predictor(Ensemble.of(experiment, parse_folds(given.folds)))
    made = predictor.predict(rows, tasks, calibrate=given.calibrate, decide=given.decide)
    return made.assign(text=[" | ".join(text) for text in given.text]).to_string(index=False)
