"""Make the folds of an experiment: outputs/<name>/folds.parquet."""

import numpy as np

from auxfold.command import experiment_from, parser, run
from auxfold.run_folder import RunFolder
from auxfold.training.rows import create_folds

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
    print(f"{len(table):,} rows of {table.path}")
    print(f"{'fold':>6} {'rows':>8}  " + "  ".join(experiment.label_columns))
    for fold in range(experiment.folds.n_splits):
        labels = table.labels[folds == fold]
        counts = np.nansum(labels >= 0.5, axis=0)
        cells = [f"{n:>{len(c)}}" for n, c in zip(counts, experiment.label_columns, strict=True)]
        print(f"{fold:>6} {len(labels):>8,}  " + "  ".join(cells))
    print(f"folds: {RunFolder.of(experiment).folds}")


if __name__ == "__main__":
    run(main)
