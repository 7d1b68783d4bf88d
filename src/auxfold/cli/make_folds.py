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
from auxfold.config.differences import describe_differences
from auxfold.config.experiment import Experiment, load_experiment, to_toml
from auxfold.errors import InputError
from auxfold.storage.atomic import write_text
from auxfold.storage.run_folder import FULL, RunFolder

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
    from auxfold.data.reader import describe_data_files
    from auxfold.tasks.metrics.names import check_selection_metric_name

    experiment = learn_tags(experiment)
    check_selection_metric_name(experiment)
    from auxfold.evaluation.data_summary import write_data_summary
    from auxfold.tasks import TaskSet
    from auxfold.training.split import create_folds

    tasks = TaskSet.from_experiment(experiment)
    table, folds = create_folds(experiment, args.overwrite, tasks, verify=True)
    folder = RunFolder.of(experiment)
    store_experiment(folder, experiment, args.overwrite)
    lines = describe_data_files(experiment.data, experiment.training_paths)
    lines += describe_folds(experiment, tasks, table, folds)
    print("\n".join(lines))
    warnings = write_data_summary(experiment, tasks, table, folds).warnings()
    for line in [*warnings, *describe_selection(experiment, tasks, table, folds)]:
        print(f"warning: {line}")
    print(f"folds: {folder.folds}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("make-folds", __doc__, EXAMPLES)
    add_experiment_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace existing folds")
    return parser.parse_args(argv)


def store_experiment(folder: RunFolder, experiment: Experiment, overwrite: bool) -> None:
    """Store the experiment for ``--run``; while its folds are trained, that of the training."""
    is_trained = folder.experiment.is_file() and any(fold != FULL for fold in folder.finished())
    differences = None
    if is_trained and not overwrite:
        differences = describe_differences(load_experiment(folder.experiment), experiment)
    if differences is None:
        write_text(folder.experiment, to_toml(experiment))
    else:
        print(f"note: folds are trained with {differences}; {folder.experiment} stays as it is")


def describe_selection(
    experiment: Experiment, tasks: TaskSet, table: Table, folds: np.ndarray
) -> list[str]:
    """What a training of these folds would refuse, or say, about its selection metric."""
    from auxfold.training.selection_check import check_selection

    try:
        _, note = check_selection(experiment, tasks, table, folds)
    except InputError as error:
        return [str(error)]
    return [] if note is None else [note]


def describe_folds(
    experiment: Experiment, tasks: TaskSet, table: Table, folds: np.ndarray
) -> list[str]:
    """The sources, and a table of rows and labels per fold."""
    from auxfold.data.sources import describe_sources
    from auxfold.report.fold_table import fold_table

    lines = [f"{len(table):,} rows of {table.path}", *table.notes]
    lines += describe_sources(
        experiment.data, experiment.label_columns, table.labels, table.sources
    )
    return [*lines, *fold_table(experiment, tasks, table, folds).lines()]
