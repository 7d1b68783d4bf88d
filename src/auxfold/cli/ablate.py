"""Does each auxiliary target help? Trains with all, without each and with none, and compares."""

from auxfold.cli.options import experiment_from, parser
from auxfold.cli.variants import add_pairs, pairs_from, train_variants
from auxfold.evaluation.ablation import ablation_table, collect, run_name, variants
from auxfold.report.plots import plot_ablation
from auxfold.storage.atomic import write_json, write_text
from auxfold.storage.run_folder import RunFolder

EXAMPLES = """\
  python scripts/ablate.py --config configs/sample.toml
  python scripts/ablate.py --config configs/jigsaw_2018.toml --seeds 42,1,2 --folds 0,1
  python scripts/ablate.py --config configs/sample.toml --by column --rows 500
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    add_pairs(arguments)
    help_text = "leave out whole tasks (default) or single columns"
    arguments.add_argument("--by", choices=["task", "column"], default="task", help=help_text)
    given = arguments.parse_args()
    experiment = experiment_from(given)
    pairs = pairs_from(given, experiment)
    chosen = variants(experiment, by_column=given.by == "column")
    train_variants(given, experiment, chosen, pairs, lambda v, s: run_name(experiment.name, v, s))
    record = collect(experiment, chosen, pairs)
    folder = RunFolder.of(experiment)
    write_json(folder.ablation, record)
    write_text(folder.ablation.with_suffix(".svg"), plot_ablation(record).svg)
    print(ablation_table(record))
    print(f"scores: {folder.ablation}\nplot: {folder.ablation.with_suffix('.svg')}")
