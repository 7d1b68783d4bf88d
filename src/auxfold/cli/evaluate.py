"""Score an experiment out of fold, or a prediction file against labels."""

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from auxfold.cli.options import (
    add_other_names,
    add_precision,
    check_precisions,
    experiment_from,
    parse_renames,
    parser,
    refuse,
)
from auxfold.config import BIAS
from auxfold.config.experiment import Experiment
from auxfold.errors import InputError, nearest
from auxfold.evaluation.bias import bias_of_pair
from auxfold.evaluation.cross_validation import cross_validate, held_out, worst_errors
from auxfold.evaluation.leaderboards import Leaderboard, board_line, find_leaderboard
from auxfold.evaluation.released_labels import (
    LabeledPredictions,
    read_labeled_predictions,
    score_labeled_predictions,
)
from auxfold.fairness.bias_table import bias_frame, format_bias_table
from auxfold.fairness.jigsaw_bias import Bias
from auxfold.postprocessing.postprocess import fit_postprocess, postprocess_file
from auxfold.report.bias_plot import plot_bias
from auxfold.report.page import (
    calibration_lines,
    cv_table,
    ensemble_line,
    render_report,
    threshold_lines,
)
from auxfold.storage.atomic import write_frame, write_json, write_text
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import make_tasks, shown
from auxfold.tracking.tracker import Tracker
from auxfold.training.split import create_folds

EXAMPLES = """\
  python scripts/evaluate.py --config configs/sample.toml
  python scripts/evaluate.py --config configs/sample.toml --json
  python scripts/evaluate.py --config configs/sample.toml --precision 0.9
  python scripts/evaluate.py --config configs/sample.toml --metric auc \\
      --labels input/sample/test_labels.csv --predictions outputs/sample/submission.csv
  python scripts/evaluate.py --config configs/sample.toml --identity-terms terms.txt \\
      --labels posts.parquet --rename label=target --rename text=comment_text --without-ids \\
      --predictions posts_out.csv --heat-map posts_bias.svg
  python scripts/evaluate.py --predictions outputs/jigsaw_2019/submission.csv \\
      --labels input/jigsaw-unintended-bias-in-toxicity-classification/test_private_expanded.csv
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--labels", metavar="F", help="label file to score against")
    arguments.add_argument("--predictions", metavar="P", help="prediction file to score")
    help_text = "default: a known competition's own, else the main task's (auc if binary)"
    arguments.add_argument("--metric", help=help_text)
    add_other_names(arguments, "the table of --labels")
    help_text = "measure bias by the identities of this list, a term a line, in the labels' texts"
    arguments.add_argument("--identity-terms", metavar="F", help=help_text)
    help_text = f"with --metric {BIAS}/score or --identity-terms: draw the table into this file"
    arguments.add_argument("--heat-map", metavar="F.svg", help=help_text)
    add_precision(arguments)
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    given = arguments.parse_args()
    if (given.labels is None) != (given.predictions is None):
        raise InputError("--labels and --predictions go together")
    precisions = check_precisions(given.precision)
    experiment = experiment_from(given)
    if given.labels:
        refuse(given, ["precision"], "tunes thresholds out of fold, without --labels")
        score_files(given, experiment)
        return
    with_labels = ("metric", "rename", "without_ids", "identity_terms", "heat_map")
    refuse(given, with_labels, "goes with --labels")
    score_out_of_fold(experiment, precisions, given.json)


def score_out_of_fold(experiment: Experiment, precisions: list[float], as_json: bool) -> None:
    """Cross-validated scores, what is fitted on them, and the report, into the run folder."""
    table, folds = create_folds(experiment)
    record, oof = cross_validate(experiment, table, folds, precisions)
    table, folds = held_out(table, folds)
    folder = RunFolder.of(experiment)
    write_frame(folder.oof, oof)
    write_json(folder.cross_validation, record)
    tasks = make_tasks(experiment)
    columns = fit_postprocess(tasks, table.labels, oof, record)
    write_json(folder.postprocess, postprocess_file(folder, columns, len(oof)))
    errors = worst_errors(experiment, table, folds, oof)
    page = render_report(experiment, record, table, folds, oof, hardest=errors[:50])
    write_text(folder.report, page)
    track(experiment, record, errors)
    if as_json:
        show(record["oof"], True)
        return
    print(cv_table({**record, "oof": shown(experiment, record["oof"])}))
    if "bias" in record:
        print("\n" + format_bias_table(Bias.of_record(record["bias"])) + "\n")
    for line in [*threshold_lines(record), *calibration_lines(record)]:
        print(line)
    if "test" in record:
        print(ensemble_line(record["test"]))
    print(f"scores: {folder.cross_validation}\nreport: {folder.report}")


def score_files(given: Namespace, experiment: Experiment) -> None:
    """A prediction file against a label file: one metric, or bias by identity.

    Of labels that a known competition released, the score of its board when none is asked for.
    """
    renames = parse_renames(given.rename)
    pair = read_labeled_predictions(
        given.labels, given.predictions, experiment, renames, given.without_ids
    )
    ladder = None if given.identity_terms else find_leaderboard(pair, experiment)
    metric = given.metric or (ladder.metric if ladder else None)
    of_bias = (metric or "").startswith(f"{BIAS}/")
    if given.identity_terms and metric and not of_bias:
        raise InputError(f"--identity-terms is for --metric {BIAS}/score, not {metric}")
    if of_bias or given.identity_terms:
        show_bias(pair, given, experiment, ladder)
        return
    if given.heat_map:
        raise InputError(f"--heat-map is for --metric {BIAS}/score or --identity-terms")
    scores = score_labeled_predictions(pair, metric, experiment)
    show(scores, given.json)
    if not given.json:
        show_board(pair, scores, ladder)


def show_bias(
    pair: LabeledPredictions, given: Namespace, experiment: Experiment, ladder: Leaderboard | None
) -> None:
    """The table by identity, or all of its numbers as JSON, and the heat map where asked for."""
    if given.heat_map and not given.heat_map.endswith(".svg"):
        raise InputError(f"--heat-map {given.heat_map}: give a .svg file")
    names = experiment.identities.columns
    if ladder and not (given.metric and names):
        names = ladder.identities  # as the board does
    bias = bias_of_pair(pair, experiment, given.identity_terms, names)
    metrics, asked = bias.metrics(), given.metric or f"{BIAS}/score"
    if asked not in metrics:
        raise InputError(f"no metric {asked!r}{nearest(asked, metrics)}; {', '.join(metrics)}")
    if given.heat_map:
        write_text(Path(given.heat_map), plot_bias(bias).svg)
    plain = (
        {}
        if given.metric or given.identity_terms
        else score_labeled_predictions(pair, None, experiment)
    )
    if given.json:
        show(metrics | plain, True)
        return
    print(format_bias_table(bias))
    if asked != f"{BIAS}/score":
        show({asked: metrics[asked]}, False)
    show_board(pair, metrics, ladder, names)
    if given.heat_map:
        print(f"heat map: {given.heat_map}")


def show_board(
    pair: LabeledPredictions,
    scores: dict[str, float | None],
    ladder: Leaderboard | None,
    identities: Sequence[str] = (),
) -> None:
    """How the labels were read, and where the score falls on a known board."""
    for note in pair.notes():
        print(note)
    if ladder and ladder.metric in scores:
        print(board_line(ladder, pair, scores, identities))


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
    if "bias" in record:
        tracker.table(BIAS, bias_frame(Bias.of_record(record["bias"])))
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
