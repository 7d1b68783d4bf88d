"""Out-of-fold scores of TF-IDF with logistic or ridge regression on the experiment's folds."""

from __future__ import annotations

import argparse

from auxfold.cli.experiment_options import (
    add_experiment_options,
    check_training_files,
    print_json,
    read_experiment,
)

EXAMPLES = """examples:
  python -m benchmarks tfidf --config configs/jigsaw_2018.toml
  python -m benchmarks tfidf --run sample --json
"""


def main(argv: list[str] | None = None) -> None:
    """Score the baseline on the folds of an experiment."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks tfidf",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_experiment_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    experiment = read_experiment(args, as_json=args.json)
    check_training_files(experiment)
    from auxfold.evaluation.baseline import tfidf_out_of_fold
    from auxfold.evaluation.cross_validation import out_of_fold_scores, select_held_out
    from auxfold.report.tables import format_cv_table
    from auxfold.tasks import TaskSet
    from auxfold.training.split import create_folds

    tasks = TaskSet.from_experiment(experiment)
    table, folds = create_folds(experiment)
    oof = tfidf_out_of_fold(experiment, tasks, table, folds)[folds >= 0]
    table, folds = select_held_out(table, folds)
    scores = out_of_fold_scores(tasks, table, oof, folds, experiment.identities.columns)
    scores["main"] = tasks.selection_metric
    if args.json:
        print_json(args, experiment, scores)
    else:
        print(format_cv_table(scores))
