"""Do other settings help? Trains the experiment and variants of it on the same folds."""

from __future__ import annotations

import argparse

from auxfold.cli.experiment_options import (
    add_experiment_options,
    check_training_files,
    read_experiment,
)
from auxfold.cli.options import make_parser, parse_list
from auxfold.cli.variants import BASELINE, add_pairs, parse_pairs, train_variants
from auxfold.errors import InputError
from auxfold.storage.checksums import write_json_checked
from auxfold.storage.run_folder import RunFolder

EXAMPLES = """\
  auxfold compare --config configs/sample.toml --seeds 42,1,2 --folds 0 \\
      --variant focal tasks.toxicity.loss=focal \\
      --variant alone tasks.subtypes.weight=0 \\
      --metrics toxicity/auc,toxicity/log_loss
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    variants = parse_variants(args.variant)
    experiment = read_experiment(args)
    pairs = parse_pairs(args, experiment)
    check_training_files(experiment)
    from auxfold.data.learned_tags import learn_tags
    from auxfold.evaluation.comparison import (
        VariantRuns,
        check_metrics,
        collect_comparison,
        format_comparison,
    )
    from auxfold.tasks import TaskSet

    experiment = learn_tags(experiment)
    tasks = TaskSet.from_experiment(experiment)
    metrics = parse_list(args.metrics or tasks.selection_metric)
    check_metrics(metrics, tasks, experiment.identities.metrics)
    runs = VariantRuns(experiment.name, "compare")
    train_variants(args, experiment, variants, pairs, runs.name)
    record = collect_comparison(variants, BASELINE, metrics, pairs, runs.fold)
    path = RunFolder.of(experiment).comparison
    write_json_checked(path, record)
    print(f"{format_comparison(record)}\nscores: {path}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("compare", __doc__, EXAMPLES)
    add_experiment_options(parser)
    add_pairs(parser)
    parser.add_argument(
        "--variant",
        action="append",
        nargs="+",
        required=True,
        metavar=("NAME", "KEY=VALUE"),
        help="a name and what is set for it on top of the experiment file and --set; repeatable",
    )
    parser.add_argument(
        "--metrics",
        help="of a fold's metrics.json, commas between (default: what selects checkpoints)",
    )
    return parser.parse_args(argv)


def parse_variants(options: list[list[str]]) -> dict[str, list[str]]:
    """Name to its settings; the unchanged experiment comes first.

    Raises:
        InputError: a variant without settings, or two of one name.
    """
    variants: dict[str, list[str]] = {BASELINE: []}
    for name, *settings in options:
        if not settings or "=" in name:
            raise InputError(f"--variant {name}: expected a name and at least one KEY=VALUE")
        if name in variants:
            raise InputError(f"--variant {name} is given twice, or is the baseline's name")
        variants[name] = settings
    return variants
