"""Write a Kaggle dataset and an offline notebook for the folds of an experiment or a blend."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from auxfold.cli.experiment_options import (
    add_experiment_options,
    announce,
    check_blend,
    check_trained,
    read_experiment,
)
from auxfold.cli.options import make_parser, parse_folds, refuse_with_blend
from auxfold.errors import InputError
from auxfold.kaggle.manifest import MANIFEST
from auxfold.kaggle.names import KaggleNames, competition_name
from auxfold.storage.atomic import read_json

if TYPE_CHECKING:
    from auxfold.inference.blend import Blend
    from auxfold.inference.ensemble import Ensemble

EXAMPLES = """\
  auxfold bundle-kaggle --config configs/jigsaw_2019.toml --owner your-user-name
  auxfold bundle-kaggle --config configs/jigsaw_2019.toml --owner your-user-name \\
      --folds 0,2 --title "civil five" --precision fp32 --overwrite
  auxfold bundle-kaggle --blend outputs/my_blend --owner your-user-name
"""
NOTEBOOK = Path("notebooks/kaggle_inference.ipynb")
CHECKOUT = Path(__file__).resolve().parents[3]  # where the package is used from its repository


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    notebook = find_notebook(args.notebook)
    source, names = load_blend(args) if args.blend else load_folds(args)
    from auxfold.kaggle.bundle import kaggle_commands, write_bundle

    folder = write_bundle(source, names, notebook, args.precision, args.overwrite)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    n_folds = len(read_json(folder / "dataset" / MANIFEST)["folds"])
    print(f"{folder}: {n_folds} folds in {args.precision}, {size / 1e6:,.1f} MB")
    print("with the kaggle command and your token:\n")
    print("\n".join(kaggle_commands(folder, names)))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("bundle-kaggle", __doc__, EXAMPLES)
    add_experiment_options(parser)
    parser.add_argument("--owner", required=True, help="your Kaggle user name")
    parser.add_argument(
        "--blend",
        metavar="DIR",
        help="bundle the runs and weights of the blend in this folder, outputs/<name>",
    )
    parser.add_argument("--title", help="of the dataset (default: auxfold <name>)")
    parser.add_argument("--competition", help="default: the name of the test file's folder")
    parser.add_argument("--folds", help="folds to bundle, e.g. 0,2 or full (default: all)")
    parser.add_argument(
        "--precision",
        choices=["fp16", "fp32"],
        default="fp16",
        help="of the stored weights (default: fp16)",
    )
    parser.add_argument(
        "--notebook", metavar="F", help=f"the notebook to push (default: {NOTEBOOK})"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier bundle")
    return parser.parse_args(argv)


def load_folds(args: argparse.Namespace) -> tuple[Ensemble, KaggleNames]:
    """The folds of the experiment, and what they are called on Kaggle."""
    folds = parse_folds(args.folds)
    experiment = read_experiment(args)
    experiment.data.check_code()
    competition = args.competition or competition_name(experiment)
    names = KaggleNames(args.owner, args.title or default_title(experiment.name), competition)
    check_trained(experiment, folds)
    from auxfold.inference.ensemble import Ensemble

    return Ensemble.from_experiment(experiment, folds), names


def load_blend(args: argparse.Namespace) -> tuple[Blend, KaggleNames]:
    """The runs of the blend, and what they are called on Kaggle."""
    refuse_with_blend(args, ("set", "rows", "folds"))
    folder = check_blend(args.blend)
    announce(f"blend {folder.path.name} ({folder.blend})")
    from auxfold.inference.blend import Blend

    blend = Blend.from_folder(args.blend, args.trust_reader)
    competition = args.competition or competition_name(blend.experiment)
    title = args.title or default_title(blend.folder.path.name)
    return blend, KaggleNames(args.owner, title, competition)


def default_title(name: str) -> str:
    """The dataset's title where none is given."""
    return f"auxfold {name.replace('_', ' ')}"


def find_notebook(path: str | None) -> Path:
    """The notebook of ``--notebook``, else that of the repository.

    Raises:
        InputError: it is not there.
    """
    candidates = [Path(path)] if path else [NOTEBOOK, CHECKOUT / NOTEBOOK]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    hint = "" if path else "; give --notebook F with the repository's notebook of that name"
    raise InputError(f"no notebook {candidates[0]}{hint}")
