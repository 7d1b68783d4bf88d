"""Score an experiment out of fold, or a prediction file against labels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auxfold.cli.experiment_options import (
    add_experiment_options,
    add_verify,
    announce,
    check_trained,
    check_training_files,
    print_json,
    read_experiment,
)
from auxfold.cli.options import (
    add_other_names,
    add_renamed_option,
    add_target_precision,
    check_target_precisions,
    make_parser,
    parse_renames,
    refuse,
)
from auxfold.config import BIAS
from auxfold.config.experiment import Experiment
from auxfold.data.paths import check_exists
from auxfold.errors import InputError, nearest
from auxfold.storage.atomic import frame_writer, write_text
from auxfold.storage.checksums import atomic_write_checked, write_json_checked
from auxfold.storage.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from auxfold.data.table import Table
    from auxfold.evaluation.labeled_predictions import LabeledPredictions
    from auxfold.evaluation.leaderboards import Leaderboard
    from auxfold.tasks import TaskSet

EXAMPLES = """\
  auxfold evaluate --config configs/sample.toml
  auxfold evaluate --config configs/sample.toml --json
  auxfold evaluate --config configs/sample.toml --target-precision 0.9
  auxfold evaluate --config configs/sample.toml --metric auc \\
      --labels input/sample/test_labels.csv --predictions outputs/sample/submission.csv
  auxfold evaluate --config configs/sample.toml --identity-terms terms.txt \\
      --labels posts.parquet --rename label=target --rename text=comment_text --without-ids \\
      --predictions posts_out.csv --heatmap posts_bias.svg
  auxfold evaluate --predictions outputs/jigsaw_2019/submission.csv \\
      --labels input/jigsaw-unintended-bias-in-toxicity-classification/test_private_expanded.csv
"""
CERTAINTY = ("intervals", "rank_within_folds", "baselines", "notes")  # keys of cv.json
Scores = dict[str, float | None]


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    target_precisions = check_args(args)
    experiment = read_experiment(args, as_json=args.json)
    if args.labels:
        evaluate_files(args, experiment)
    else:
        evaluate_out_of_fold(args, experiment, target_precisions)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("evaluate", __doc__, EXAMPLES)
    add_experiment_options(parser)
    parser.add_argument("--labels", metavar="F", help="label file to score against")
    parser.add_argument("--predictions", metavar="P", help="prediction file to score")
    parser.add_argument(
        "--metric", help="default: a known competition's own, else the main task's (auc if binary)"
    )
    add_other_names(parser, "the table of --labels")
    parser.add_argument(
        "--identity-terms",
        metavar="F",
        help="measure bias by the identities of this list, a term a line, in the labels' texts",
    )
    parser.add_argument(
        "--heatmap",
        metavar="F.svg",
        help=f"with --metric {BIAS}/score or --identity-terms: draw the table into this file",
    )
    add_renamed_option(parser, "--heat-map", "--heatmap")
    add_target_precision(parser)
    parser.add_argument(
        "--no-baseline",
        action="store_true",
        help="leave out the baselines (the majority, and TF-IDF with linear models)",
    )
    add_verify(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> list[float]:
    """The target precisions, once all options are known to go together.

    Raises:
        InputError: options that exclude or need each other, or a file that is not there.
    """
    if (args.labels is None) != (args.predictions is None):
        raise InputError("--labels and --predictions go together")
    target_precisions = check_target_precisions(args.target_precision)
    parse_renames(args.rename)
    if not args.labels:
        only_labels = ("metric", "rename", "without_ids", "identity_terms", "heatmap")
        refuse(args, only_labels, "goes with --labels")
        return target_precisions
    refuse(args, ["target_precision"], "tunes thresholds out of fold, without --labels")
    refuse(args, ["no_baseline", "verify"], "is about scores out of fold, without --labels")
    if args.heatmap and not args.heatmap.endswith(".svg"):
        raise InputError(f"--heatmap {args.heatmap}: give a .svg file")
    check_exists(args.predictions)
    check_exists(args.labels)
    return target_precisions


def evaluate_out_of_fold(
    args: argparse.Namespace, experiment: Experiment, target_precisions: list[float]
) -> None:
    """Write cross-validated scores, what is fitted on them, and the report; print the scores."""
    check_training_files(experiment)
    check_trained(experiment)
    from auxfold.evaluation.cross_validation import cross_validate, select_held_out, worst_errors
    from auxfold.postprocessing.fitting import fit_postprocess
    from auxfold.postprocessing.record import postprocess_record
    from auxfold.report.cross_validation_log import log_cross_validation
    from auxfold.report.page import render_report
    from auxfold.tasks import TaskSet
    from auxfold.training.split import create_folds

    tasks = TaskSet.from_experiment(experiment)
    table, folds = create_folds(experiment, verify=args.verify)
    record, oof = cross_validate(experiment, tasks, table, folds, target_precisions)
    if not args.no_baseline:
        add_baselines(args, experiment, tasks, table, folds, oof, record)
    table, folds = select_held_out(table, folds)
    folder = RunFolder.of(experiment)
    atomic_write_checked(folder.oof, frame_writer(folder.oof, oof))
    write_json_checked(folder.cross_validation, record)
    columns = fit_postprocess(tasks, table.labels, oof, record)
    write_json_checked(folder.postprocess, postprocess_record(folder, columns, len(oof)))
    errors = worst_errors(tasks, table, folds, oof, experiment.data.id_column)
    page = render_report(experiment, tasks, record, table, folds, oof, errors[:50])
    write_text(folder.report, page)
    log_cross_validation(experiment, record, errors)
    if args.json:
        more = {key: record[key] for key in CERTAINTY if key in record}
        print_json(args, experiment, record["oof"] | more)
    else:
        print_cross_validation(tasks, record)
        print(f"scores: {folder.cross_validation}\nreport: {folder.report}")


def add_baselines(
    args: argparse.Namespace,
    experiment: Experiment,
    tasks: TaskSet,
    table: Table,
    folds: np.ndarray,
    oof: pd.DataFrame,
    record: dict[str, Any],
) -> None:
    """Add the scores of the baselines to a record, and what they say about the run."""
    from auxfold.evaluation.baseline_record import baseline_record
    from auxfold.evaluation.score_notes import baseline_notes

    record["baselines"] = baseline_record(
        experiment, tasks, table, folds, oof, list(record["rank_within_folds"]),
        say=lambda line: announce(line, args.json),
    )  # fmt: skip
    record["notes"] += baseline_notes(record)


def print_cross_validation(tasks: TaskSet, record: dict[str, Any]) -> None:
    """Print the scores by fold, the bias by identity, and what post-processing brings."""
    from auxfold.fairness.bias_table import format_bias_table
    from auxfold.fairness.jigsaw_bias import Bias
    from auxfold.report.tables import (
        describe_baselines,
        describe_calibration,
        describe_fold_ensemble,
        describe_thresholds,
        format_cv_table,
    )

    print(format_cv_table({**record, "oof": tasks.metrics_to_show(record["oof"])}))
    if "baselines" in record:
        print(describe_baselines(record))
    for note in record["notes"]:
        print(f"note: {note}")
    if "bias" in record:
        print("\n" + format_bias_table(Bias.from_record(record["bias"])) + "\n")
    for line in [*describe_thresholds(record), *describe_calibration(record)]:
        print(line)
    if "test" in record:
        print(describe_fold_ensemble(record["test"]))


def evaluate_files(args: argparse.Namespace, experiment: Experiment) -> None:
    """Score a prediction file against a label file: by one metric, or for bias by identity.

    Labels that a known competition released are scored as on its leaderboard, unless ``--metric``
    or ``--identity-terms`` says otherwise.
    """
    from auxfold.evaluation.labeled_predictions import read_labeled_predictions
    from auxfold.evaluation.leaderboards import find_leaderboard
    from auxfold.evaluation.prediction_scores import (
        compute_interval,
        compute_scores,
        read_scored_columns,
    )
    from auxfold.report.tables import describe_intervals

    pair = read_labeled_predictions(
        args.labels, args.predictions, experiment, parse_renames(args.rename), args.without_ids
    )
    leaderboard = None if args.identity_terms else find_leaderboard(pair, experiment)
    metric = args.metric or (leaderboard.metric if leaderboard else None)
    is_bias = (metric or "").startswith(f"{BIAS}/")
    if args.identity_terms and metric and not is_bias:
        raise InputError(f"--identity-terms is for --metric {BIAS}/score, not {metric}")
    if is_bias or args.identity_terms:
        evaluate_bias(args, experiment, pair, leaderboard)
        return
    if args.heatmap:
        raise InputError(f"--heatmap is for --metric {BIAS}/score or --identity-terms")
    metric, columns = read_scored_columns(pair, metric, experiment)
    scores, interval = compute_scores(metric, columns), compute_interval(metric, columns)
    intervals = {} if interval is None else {metric: interval}
    if args.json:
        print_json(args, experiment, {**scores, "intervals": intervals})
        return
    print_scores(scores)
    for line in describe_intervals(intervals):
        print(line)
    print_placement(pair, scores, leaderboard)


def evaluate_bias(
    args: argparse.Namespace,
    experiment: Experiment,
    pair: LabeledPredictions,
    leaderboard: Leaderboard | None,
) -> None:
    """Print the table by identity, or all of its numbers as JSON; draw the heat map if asked."""
    from auxfold.evaluation.bias import read_bias_columns
    from auxfold.evaluation.prediction_scores import score_labeled_predictions
    from auxfold.fairness.bias_table import format_bias_table
    from auxfold.report.bias_plot import plot_bias
    from auxfold.report.tables import describe_intervals

    identities: Sequence[str] = experiment.identities.columns
    if leaderboard and not (args.metric and identities):
        identities = leaderboard.identities  # as the leaderboard does
    columns = read_bias_columns(pair, experiment, args.identity_terms, identities)
    bias = columns.bias()
    metrics, metric = bias.metrics(), args.metric or f"{BIAS}/score"
    if metric not in metrics:
        raise InputError(f"no metric {metric!r}{nearest(metric, metrics)}; {', '.join(metrics)}")
    if args.heatmap:
        write_text(Path(args.heatmap), plot_bias(bias).svg)
    interval = columns.interval(metric)
    intervals = {} if interval is None else {metric: interval}
    if args.json:
        needs_more = not (args.metric or args.identity_terms)
        more = score_labeled_predictions(pair, None, experiment) if needs_more else {}
        print_json(args, experiment, metrics | more | {"intervals": intervals})
        return
    print(format_bias_table(bias))
    if metric != f"{BIAS}/score":
        print_scores({metric: metrics[metric]})
    for line in describe_intervals(intervals):
        print(line)
    print_placement(pair, metrics, leaderboard, identities)
    if args.heatmap:
        print(f"heat map: {args.heatmap}")


def print_placement(
    pair: LabeledPredictions,
    scores: Scores,
    leaderboard: Leaderboard | None,
    identities: Sequence[str] = (),
) -> None:
    """Print how the labels were read, and where the score falls on a known leaderboard."""
    from auxfold.evaluation.leaderboards import describe_rank

    for note in pair.notes():
        print(note)
    if leaderboard and leaderboard.metric in scores:
        print(describe_rank(leaderboard, pair, scores, identities))


def print_scores(scores: Scores) -> None:
    """Print metric names and values, line by line."""
    for name, value in scores.items():
        print(f"{name:40} {'undefined' if value is None else f'{value:.5f}'}")
