"""Does each auxiliary target help? Trains with all, without each and with none, and compares."""

from __future__ import annotations

import argparse

from auxfold.cli.experiment_options import (
    add_experiment_options,
    check_training_files,
    read_experiment,
)
from auxfold.cli.options import make_parser
from auxfold.cli.variants import add_pairs, parse_pairs, train_variants
from auxfold.storage.atomic import write_text
from auxfold.storage.checksums import write_json_checked
from auxfold.storage.run_folder import RunFolder

EXAMPLES = """\
  auxfold ablate --config configs/sample.toml
  auxfold ablate --config configs/jigsaw_2018.toml --seeds 42,1,2 --folds 0,1
  auxfold ablate --config configs/sample.toml --by column --rows 500
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    experiment = read_experiment(args)
    pairs = parse_pairs(args, experiment)
    check_training_files(experiment)
    from auxfold.data.learned_tags import learn_tags
    from auxfold.evaluation.ablation import ablation_variants, collect_ablation
    from auxfold.evaluation.comparison import VariantRuns, format_comparison
    from auxfold.report.comparison_plot import plot_comparison
    from auxfold.tasks import TaskSet

    experiment = learn_tags(experiment)
    metric = TaskSet.from_experiment(experiment).selection_metric
    variants = ablation_variants(experiment, by_column=args.by == "column")
    runs = VariantRuns(experiment.name, "ablate")
    train_variants(args, experiment, variants, pairs, runs.name)
    record = collect_ablation(variants, metric, pairs, runs.fold)
    path = RunFolder.of(experiment).ablation
    plot_path = path.with_suffix(".svg")
    write_json_checked(path, record)
    write_text(plot_path, plot_comparison(record)[0].svg)
    print(format_comparison(record))
    print(f"scores: {path}\nplot: {plot_path}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("ablate", __doc__, EXAMPLES)
    add_experiment_options(parser)
    add_pairs(parser)
    parser.add_argument(
        "--by",
        choices=["task", "column"],
        default="task",
        help="leave out whole tasks (default) or single columns",
    )
    return parser.parse_args(argv)
