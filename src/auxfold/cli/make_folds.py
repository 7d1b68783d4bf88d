"""Make the folds of an experiment: outputs/<name>/folds.parquet."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from auxfold.cli.experiment_options import (
    add_experiment_options,
    check_training_files,
    read_experiment,
)
from auxfold.cli.options import make_parser
from auxfold.config.experiment import Experiment, to_toml
from auxfold.storage.atomic import write_text
from auxfold.storage.run_folder import RunFolder

if TYPE_CHECKING:
    import numpy as np

    from auxfold.data.table import Table
    from auxfold.tasks import TaskSet

EXAMPLES = """\
  auxfold make-folds --config configs/sample.toml
  auxfold make-folds --config configs/jigsaw_2018.toml --set folds.n_splits=10
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    experiment = read_experiment(args, with_tags=False)
    check_training_files(experiment)
    from auxfold.data.learned_tags import learn_tags
    from auxfold.evaluation.data_summary import write_data_summary
    from auxfold.tasks import TaskSet
    from auxfold.training.split import create_folds

    experiment = learn_tags(experiment)
    tasks = TaskSet.from_experiment(experiment)
    table, folds = create_folds(experiment, args.overwrite, tasks)
    folder = RunFolder.of(experiment)
    write_text(folder.experiment, to_toml(experiment))
    print("\n".join(describe_folds(experiment, tasks, table, folds)))
    for line in write_data_summary(experiment, tasks, table, folds).warnings():
        print(f"warning: {line}")
    print(f"folds: {folder.folds}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("make-folds", __doc__, EXAMPLES)
    add_experiment_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace existing folds")
    return parser.parse_args(argv)


def describe_folds(
    experiment: Experiment, tasks: TaskSet, table: Table, folds: np.ndarray
) -> list[str]:
    """The sources, and a table of rows and labels per fold."""
    from auxfold.data.sources import describe_sources, rows_per_source

    lines = [f"{len(table):,} rows of {table.path}", *table.notes]
    lines += describe_sources(
        experiment.data, experiment.label_columns, table.labels, table.sources
    )
    # Fold -1 holds the rows that are only trained on.
    names = [*experiment.folds.names, *([-1] if (folds < 0).any() else [])]
    for number, fold in enumerate(names):
        labels = table.labels[folds == fold]
        cells = {"fold": "train" if fold < 0 else str(fold), "rows": f"{len(labels):,}"}
        cells |= rows_per_source(experiment.data, table.sources_at(folds == fold))
        cells |= tasks.label_summary(labels)
        if number == 0:
            lines.append("  ".join(f"{name:>6}" for name in cells))
        lines.append("  ".join(f"{cell:>{max(6, len(name))}}" for name, cell in cells.items()))
    return lines
