"""What near-equal texts in several folds do to out-of-fold scores of TF-IDF, seed by seed.

Every seed divides the rows twice, with and without ``folds.group_near_duplicates``. The main task
is predicted out of fold on both divisions. Scores are those of all rows, and of the rows whose text
has a nearly equal one in another fold where near-equal texts are not kept together.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from auxfold.cli.experiment_options import (
    add_experiment_options,
    check_training_files,
    read_experiment,
)
from auxfold.config.experiment import Experiment
from auxfold.config.folds import NEAR_EQUAL

EXAMPLES = """examples:
  python -m benchmarks near_duplicates --config configs/jigsaw_2018.toml --seeds 5
"""


def main(argv: list[str] | None = None) -> None:
    """Measure, and print one JSON object for each seed and their means."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks near_duplicates",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_experiment_options(parser)
    parser.add_argument("--seeds", type=int, default=5, help="divisions; default: %(default)s")
    parser.add_argument("--similarity", type=float, default=NEAR_EQUAL, help="default: %(default)s")
    args = parser.parse_args(argv)
    experiment = read_experiment(args)
    check_training_files(experiment)
    records = []
    for seed in range(args.seeds):
        records.append(compare_divisions(experiment, args.similarity, seed))
        print(json.dumps(records[-1]), flush=True)
    means = {name: average([record[name] for record in records]) for name in ("all", "apart")}
    print(json.dumps({"mean of seeds": args.seeds, **means}))


def average(metrics: list[dict[str, float | None]]) -> dict[str, float | None]:
    """The mean of every metric; None where it is undefined for a seed."""
    means: dict[str, float | None] = {}
    for key in metrics[0]:
        values = [value for values in metrics if (value := values[key]) is not None]
        means[key] = float(np.mean(values)) if len(values) == len(metrics) else None
    return means


def compare_divisions(experiment: Experiment, similarity: float, seed: int) -> dict[str, Any]:
    """The scores of one seed, without and with near-equal texts in one fold.

    Returns:
        ``rows`` and ``rows_apart``, and the main metrics of all rows (``all``) and of those rows
        that have a near-equal one in another fold of the first division (``apart``), where
        near-equal texts are ``apart`` and where they are ``together``. None: undefined.
    """
    from auxfold.data.folds import duplicate_keys, make_folds
    from auxfold.evaluation.baseline import tfidf_out_of_fold
    from auxfold.evaluation.duplicate_report import near_equal_groups
    from auxfold.tasks import TaskSet
    from auxfold.training.split import load_training_table, stratification_flags

    tasks = TaskSet.from_experiment(experiment)
    table = load_training_table(experiment, tasks)
    flags = stratification_flags(tasks, table)
    n_splits = experiment.folds.n_splits
    apart = make_folds(table, flags, n_splits, True, seed)
    together = make_folds(table, flags, n_splits, True, seed, near_duplicates=similarity)
    _, groups = near_equal_groups(duplicate_keys(table.texts), similarity)
    pairs = np.unique(np.stack([groups, apart]), axis=1)
    n_folds_of_group = np.bincount(pairs[0], minlength=len(table))
    is_apart = n_folds_of_group[groups] > 1
    main = tasks.subset([tasks.main.name])
    record: dict[str, Any] = {
        "seed": seed,
        "rows": len(table),
        "rows_apart": int(is_apart.sum()),
        "all": {},
        "apart": {},
    }
    for name, folds in (("apart", apart), ("together", together)):
        oof = tfidf_out_of_fold(experiment, main, table, folds)
        predictions = oof[tasks.main.prediction_columns].to_numpy()
        for rows, mask in (("all", np.ones(len(table), bool)), ("apart", is_apart)):
            metrics = main.compute_metrics(table.labels[mask], {tasks.main.name: predictions[mask]})
            for metric in tasks.main.headline:
                record[rows][f"{metric} {name}"] = metrics[f"{tasks.main.name}/{metric}"]
    return record
