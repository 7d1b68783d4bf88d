"""Do other settings help? Trains the experiment and variants of it on the same folds."""

from auxfold.cli.options import experiment_from, parser
from auxfold.cli.variants import add_pairs, pairs_from, train_variants
from auxfold.errors import InputError
from auxfold.evaluation.comparison import (
    BASELINE,
    check_metrics,
    collect,
    comparison_table,
    run_name,
)
from auxfold.storage.atomic import write_json
from auxfold.storage.run_folder import OUTPUTS, FoldFolder, RunFolder
from auxfold.tasks import selection_metric

EXAMPLES = """\
  python scripts/compare.py --config configs/sample.toml --seeds 42,1,2 --folds 0 \\
      --variant focal tasks.toxicity.loss=focal \\
      --variant alone tasks.subtypes.weight=0 \\
      --metrics toxicity/auc,toxicity/log_loss
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    add_pairs(arguments)
    arguments.add_argument(
        "--variant",
        action="append",
        nargs="+",
        required=True,
        metavar=("NAME", "KEY=VALUE"),
        help="a name and what is set for it beside the experiment file and --set; repeatable",
    )
    help_text = "of a fold's metrics.json, commas between (default: what selects checkpoints)"
    arguments.add_argument("--metrics", help=help_text)
    given = arguments.parse_args()
    experiment = experiment_from(given)
    pairs, variants = pairs_from(given, experiment), parse_variants(given.variant)
    metrics = [m.strip() for m in (given.metrics or selection_metric(experiment)).split(",")]
    check_metrics(experiment, metrics)

    def name_of(variant: str, seed: int) -> str:
        return run_name(experiment.name, "compare", variant, seed)

    def fold_folder(variant: str, seed: int, fold: int) -> FoldFolder:
        return RunFolder(OUTPUTS / name_of(variant, seed)).fold(fold)

    train_variants(given, experiment, variants, pairs, name_of)
    record = collect(variants, BASELINE, metrics, pairs, fold_folder)
    path = RunFolder.of(experiment).comparison
    write_json(path, record)
    print(f"{comparison_table(record)}\nscores: {path}")


def parse_variants(given: list[list[str]]) -> dict[str, list[str]]:
    """Name to its settings, the experiment as it stands first."""
    made: dict[str, list[str]] = {BASELINE: []}
    for name, *changes in given:
        if not changes or "=" in name:
            raise InputError(f"--variant {name}: expected a name and at least one KEY=VALUE")
        if name in made:
            raise InputError(f"--variant {name} is given twice, or is the baseline's name")
        made[name] = changes
    return made
