"""Write the trained folds of an adapter as plain models, with their backbone's weights in them."""

from pathlib import Path

from auxfold.cli.options import experiment_from, parse_folds, parser
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.merge import merge_fold

EXAMPLES = """\
  python scripts/merge.py --config configs/jigsaw_2018.toml --set model.adapter.kind=lora \\
      --output outputs/jigsaw_2018_merged
  python scripts/merge.py --config configs/jigsaw_2018.toml --set model.adapter.kind=lora \\
      --folds 0 --output merged --overwrite
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--folds", help="folds to merge, e.g. 0,2 or full (default: all)")
    arguments.add_argument("--output", required=True, metavar="DIR",
                           help="where the plain fold folders go")  # fmt: skip
    arguments.add_argument("--overwrite", action="store_true", help="replace earlier ones")
    given = arguments.parse_args()
    ensemble = Ensemble.of(experiment_from(given), parse_folds(given.folds))
    for fold in ensemble.folders:
        merged = merge_fold(fold, Path(given.output) / fold.path.name, given.overwrite)
        size = sum(p.stat().st_size for p in merged.path.rglob("*") if p.is_file())
        print(f"{merged.path}: {size / 1e6:,.1f} MB")
