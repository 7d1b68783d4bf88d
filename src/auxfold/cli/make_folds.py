"""Make the folds of an experiment: outputs/<name>/folds.parquet."""

from auxfold.cli.options import experiment_from, parser
from auxfold.data.folds import shared_texts
from auxfold.data.sources import describe_sources, rows_per_source
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import label_summary, make_tasks
from auxfold.training.split import create_folds

EXAMPLES = """\
  python scripts/make_folds.py --config configs/sample.toml
  python scripts/make_folds.py --config configs/jigsaw_2018.toml --set folds.n_splits=10
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--overwrite", action="store_true", help="replace existing folds")
    given = arguments.parse_args()
    experiment = experiment_from(given)
    table, folds = create_folds(experiment, given.overwrite)
    tasks = make_tasks(experiment)
    print(f"{len(table):,} rows of {table.path}")
    for line in describe_sources(
        experiment.data, experiment.label_columns, table.labels, table.sources
    ):
        print(line)
    if shared := shared_texts(table):
        print(f"warning: {shared:,} rows to validate on have texts that are trained on too")
    for number, fold in enumerate([*experiment.folds.names, *([-1] if (folds < 0).any() else [])]):
        labels = table.labels[folds == fold]
        by_source = rows_per_source(experiment.data, table.sources_of(folds == fold))
        told = {"fold": "train" if fold < 0 else str(fold), "rows": f"{len(labels):,}", **by_source}
        told |= label_summary(tasks, labels)
        if number == 0:
            print("  ".join(f"{name:>6}" for name in told))
        print("  ".join(f"{value:>{max(6, len(name))}}" for name, value in told.items()))
    print(f"folds: {RunFolder.of(experiment).folds}")
