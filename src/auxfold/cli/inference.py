"""Predict with the fold ensemble: a test file in, a submission out."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from auxfold.cli.experiment_options import (
    add_experiment_options,
    announce,
    check_blend,
    check_trained,
    read_experiment,
)
from auxfold.cli.options import (
    add_other_names,
    add_renamed_option,
    make_parser,
    parse_folds,
    parse_renames,
    refuse,
    refuse_with_blend,
)
from auxfold.cli.prediction_file import (
    add_spreadsheet_safe,
    check_spreadsheet_safe,
    write_predictions,
)
from auxfold.config.experiment import Experiment
from auxfold.data.paths import check_exists
from auxfold.errors import InputError, nearest
from auxfold.storage.run_folder import SOUP, RunFolder

if TYPE_CHECKING:
    from auxfold.inference.ensemble import Ensemble

EXAMPLES = """\
  auxfold inference --config configs/sample.toml
  auxfold inference --run sample --folds 0,2
  auxfold inference --config configs/sample.toml --folds full --all-tasks
  auxfold inference --config configs/sample.toml --input more.csv --output more_out.csv
  auxfold inference --config configs/sample.toml --input posts.parquet \\
      --rename text=comment_text --without-ids --output posts_out.csv
  auxfold inference --config configs/sample.toml --calibrate temperature
  auxfold inference --config configs/sample.toml --all-tasks --threshold f1 --output 01.csv
  auxfold inference --blend outputs/my_blend
  auxfold inference --blend outputs/my_blend --calibrate isotonic --output calibrated.csv
  auxfold inference --config configs/sample.toml --all-tasks --text "What a lovely garden"
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    check_args(args)
    if args.blend:
        predict_blend(args)
        return
    experiment = read_experiment(args)
    check_experiment(args, experiment)
    if args.text:
        print(predict_texts(args, experiment))
    else:
        predict_file(args, experiment)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("inference", __doc__, EXAMPLES)
    add_experiment_options(parser)
    parser.add_argument(
        "--blend",
        metavar="DIR",
        help="predict with the runs and weights of the blend in this folder, outputs/<name>",
    )
    parser.add_argument("--folds", help="folds to average, e.g. 0,2 or full (default: all)")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--input", help="table to predict (default: data.test)")
    rows.add_argument(
        "--text",
        nargs="+",
        action="append",
        metavar="TEXT",
        help="print the prediction of this text; repeatable; a text per column where there are "
        "several",
    )
    parser.add_argument(
        "--output", help="default: outputs/<name>/submission.csv, or predictions_<tasks>.csv"
    )
    add_spreadsheet_safe(parser)
    add_other_names(parser, "the table of --input")
    tasks = parser.add_mutually_exclusive_group()
    tasks.add_argument("--task", help="predict this task instead of the main one")
    tasks.add_argument("--all-tasks", action="store_true", help="predict every task's columns")
    parser.add_argument(
        "--calibrate",
        choices=["temperature", "isotonic"],
        help="calibrate probabilities by what evaluate fitted out of fold",
    )
    parser.add_argument(
        "--threshold",
        metavar="RULE",
        help="answer 1 or 0 by the thresholds that evaluate tuned, f1 or precision=0.9, or an "
        "ordered class by the cut points that it tuned, qwk",
    )
    add_renamed_option(parser, "--decide", "--threshold")
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> None:
    """Refuse options that exclude or need each other, and a file that is not there.

    Raises:
        InputError: naming the options.
    """
    if args.blend:
        refuse_with_blend(args, ("set", "rows", "folds", "text", "task", "all_tasks"))
        check_blend(args.blend)
    if args.text:
        no_effect = ("output", "rename", "without_ids", "spreadsheet_safe")
        refuse(args, no_effect, "has no effect with --text")
    if not args.input and (args.rename or args.without_ids):
        raise InputError("--rename and --without-ids are for the table of --input")
    parse_folds(args.folds)
    parse_renames(args.rename)
    check_spreadsheet_safe(args, args.output)
    if args.input:
        check_exists(args.input)
        if args.output is None:
            raise InputError("--input F needs --output F: it is not the competition's submission")
        check_output(Path(args.output), args.input)


def check_output(output: Path, source: str) -> None:
    """Refuse, before anything is computed, a file that predictions must not go to."""
    if output.resolve() == Path(source).resolve():
        raise InputError(f"--output {output} is the table to predict; give another file")
    if output.suffix not in (".csv", ".parquet"):
        raise InputError(f"--output {output}: give a .csv or .parquet file")


def check_experiment(args: argparse.Namespace, experiment: Experiment) -> None:
    """Refuse what the experiment and its run folder do not have.

    Raises:
        InputError: an unknown task, a text that is no pair or one, a test file or a fold that is
            not there.
    """
    tasks = [task.name for task in experiment.tasks]
    if args.task and args.task not in tasks:
        hint = nearest(args.task, tasks)
        raise InputError(f"no task {args.task!r}{hint}; tasks: {', '.join(tasks)}")
    if args.text:
        columns = experiment.data.text_columns
        if any(len(texts) != len(columns) for texts in args.text):
            expected = "one quoted text"
            if len(columns) > 1:
                names = " ".join(f'"{name}"' for name in columns)
                expected = f"{len(columns)} quoted texts ({names})"
            raise InputError(f"--text takes {expected}; repeat --text for more rows")
    else:
        experiment.data.check_code()
    if not (args.text or args.input):
        check_exists(source_path(args, experiment))
        if experiment.data.sample_submission is not None:
            check_exists(experiment.data.sample_submission)
        if args.output:
            check_output(Path(args.output), source_path(args, experiment))
    check_trained(experiment, parse_folds(args.folds))


def source_path(args: argparse.Namespace, experiment: Experiment) -> str:
    """The table to predict: that of ``--input``, else the experiment's test file.

    Raises:
        InputError: there is neither.
    """
    path = args.input or experiment.data.test
    if path is None:
        raise InputError("the experiment has no data.test; give --input")
    return str(path)


def predict_file(args: argparse.Namespace, experiment: Experiment) -> None:
    """Predict the test file, or that of ``--input``, with the fold ensemble."""
    from auxfold.data.loading import read_prediction_table
    from auxfold.data.reader import describe_data_files
    from auxfold.inference.destination import default_output, load_sample_submission
    from auxfold.inference.ensemble import Ensemble
    from auxfold.inference.fold_predictions import FoldPredictions
    from auxfold.inference.postprocess import Postprocess, stored_columns

    ensemble = Ensemble.from_experiment(experiment, parse_folds(args.folds))
    all_tasks = [task.name for task in experiment.tasks]
    names = all_tasks if args.all_tasks else [args.task] if args.task else None
    tasks, average = ensemble.select_tasks(names), experiment.inference.average
    postprocess = Postprocess.for_ensemble(ensemble, tasks, args.calibrate, args.threshold, average)
    source = source_path(args, experiment)
    table = read_prediction_table(experiment, source, parse_renames(args.rename), args.without_ids)
    sample = None if args.input else load_sample_submission(experiment, tasks, table.ids)
    check_spreadsheet_safe(args, args.output, is_submission=sample is not None)
    postprocess = postprocess.with_decisions(sample, tasks, average, stored_columns(ensemble))
    folder = RunFolder.of(experiment)
    output = Path(args.output or default_output(folder, experiment, tasks, sample))
    started = time.perf_counter()
    by_fold = FoldPredictions(ensemble)
    means = ensemble.predict(table, tasks, average, on_fold=by_fold.add)
    seconds = time.perf_counter() - started
    predictions = postprocess.apply(tasks, means)
    frame = tasks.prediction_frame(experiment.data.id_column, table.ids, predictions)
    frame = sample.fill(frame) if sample else frame
    write_predictions(args, output, frame)
    if args.input is None and args.folds is None:
        by_fold.write(table.ids)
        if average == SOUP:
            by_fold.write_soup(table.ids, means)
    for line in describe_data_files(experiment.data, [source]):
        print(line)
    if line := ensemble.measure_tokens(table).language_warning():
        print(f"warning: {line}")
    if postprocess.note:
        print(postprocess.note)
    averaged = "the weights of {} models" if average == SOUP else "{} models"
    print(f"{len(frame):,} rows, {averaged.format(len(ensemble.folders))} averaged: {output}")
    log_speed(experiment, ensemble, len(table), seconds)


def predict_blend(args: argparse.Namespace) -> None:
    """Predict with every run of a blend; the first run's ids and sample submission hold."""
    announce(f"blend {Path(args.blend).name} ({check_blend(args.blend).blend})")
    from auxfold.data.reader import describe_data_files
    from auxfold.inference.blend import Blend
    from auxfold.inference.destination import default_output, load_sample_submission
    from auxfold.inference.postprocess import Postprocess

    blend = Blend.from_folder(args.blend, args.trust_reader)
    experiment, tasks, record = blend.experiment, blend.tasks, blend.record
    postprocess = Postprocess.for_blend(record, tasks, args.calibrate, args.threshold)
    tables = blend.tables(args.input, parse_renames(args.rename), args.without_ids)
    ids = tables[0].ids
    sample = None if args.input else load_sample_submission(experiment, tasks, ids)
    check_spreadsheet_safe(args, args.output, is_submission=sample is not None)
    postprocess = postprocess.with_decisions(
        sample, tasks, record["average"], record.get("postprocess", {})
    )
    output = Path(args.output or default_output(blend.folder, experiment, tasks, sample))
    check_output(output, tables[0].path)
    predictions = postprocess.apply(tasks, blend.predict(tables))
    frame = tasks.prediction_frame(experiment.data.id_column, ids, predictions)
    frame = sample.fill(frame) if sample else frame
    write_predictions(args, output, frame)
    for line in describe_data_files(experiment.data, [tables[0].path]):
        print(line)
    if postprocess.note:
        print(postprocess.note)
    members = [blend.members[index] for index in blend.weighted_members()]
    n_models = sum(len(member.folders) for member in members)
    runs = "1 run" if len(members) == 1 else f"{len(members)} runs"
    print(f"{len(frame):,} rows, {runs}, {n_models} models blended: {output}")


def predict_texts(args: argparse.Namespace, experiment: Experiment) -> str:
    """A line of predictions for every text of the command line."""
    from auxfold.inference.ensemble import Ensemble
    from auxfold.inference.predictor import Predictor

    is_single = len(experiment.data.text_columns) == 1
    texts = [text[0] if is_single else tuple(text) for text in args.text]
    predictor = Predictor.load(Ensemble.from_experiment(experiment, parse_folds(args.folds)))
    predictions = predictor.predict(
        texts,
        "all" if args.all_tasks else args.task,
        calibrate=args.calibrate,
        threshold=args.threshold,
    )
    return predictions.assign(text=[" | ".join(text) for text in args.text]).to_string(index=False)


def log_speed(experiment: Experiment, ensemble: Ensemble, n_rows: int, seconds: float) -> None:
    """Log the size and the speed of a prediction as a W&B run."""
    from auxfold.tracking.tracker import Tracker

    folds = [folder.path.name for folder in ensemble.folders]
    folder = RunFolder.of(experiment).path
    tracker = Tracker(experiment, "inference", "inference", folder, extra={"folds": folds})
    rows_per_second = n_rows * len(folds) / max(seconds, 1e-9)
    tracker.summary(
        {
            "rows": n_rows,
            "models": len(folds),
            "seconds": seconds,
            "rows_per_second": rows_per_second,
        }
    )
    tracker.finish()
