"""Write the trained folds of an adapter as plain models that include the backbone's weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from auxfold.cli.experiment_options import add_experiment_options, check_trained, read_experiment
from auxfold.cli.options import make_parser, parse_folds

EXAMPLES = """\
  auxfold merge --config configs/jigsaw_2018.toml --set model.adapter.kind=lora \\
      --output outputs/jigsaw_2018_merged
  auxfold merge --run jigsaw_2018 --folds 0 --output merged --overwrite
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    folds = parse_folds(args.folds)
    experiment = read_experiment(args)
    check_trained(experiment, folds)
    from auxfold.inference.ensemble import Ensemble
    from auxfold.inference.merge import merge_fold

    for fold in Ensemble.from_experiment(experiment, folds).folders:
        merged = merge_fold(fold, Path(args.output) / fold.path.name, args.overwrite)
        size = sum(path.stat().st_size for path in merged.path.rglob("*") if path.is_file())
        print(f"{merged.path}: {size / 1e6:,.1f} MB")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("merge", __doc__, EXAMPLES)
    add_experiment_options(parser)
    parser.add_argument("--folds", help="folds to merge, e.g. 0,2 or full (default: all)")
    parser.add_argument(
        "--output", required=True, metavar="DIR", help="where the plain fold folders go"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier ones")
    return parser.parse_args(argv)
