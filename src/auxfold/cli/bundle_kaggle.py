"""Write a Kaggle dataset and an offline notebook for the folds of an experiment or a blend."""

import argparse
from pathlib import Path

from auxfold.cli.options import experiment_from, parse_folds, parser, refuse_with_blend
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.kaggle.bundle import (
    NOTEBOOK,
    KaggleNames,
    commands,
    competition_of,
    name_of,
    write_bundle,
)
from auxfold.kaggle.manifest import MANIFEST
from auxfold.storage.atomic import read_json

EXAMPLES = """\
  python scripts/bundle_kaggle.py --config configs/jigsaw_2019.toml --owner your-user-name
  python scripts/bundle_kaggle.py --config configs/jigsaw_2019.toml --owner your-user-name \\
      --folds 0,2 --title "civil five" --precision fp32 --overwrite
  python scripts/bundle_kaggle.py --blend outputs/my_blend --owner your-user-name
"""
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--owner", required=True, help="your Kaggle user name")
    help_text = "bundle every run of a blend and its weights: outputs/<name> of blend.py"
    arguments.add_argument("--blend", metavar="DIR", help=help_text)
    arguments.add_argument("--title", help="of the dataset (default: auxfold <name>)")
    arguments.add_argument("--competition", help="default: the name of the test file's folder")
    arguments.add_argument("--folds", help="folds to bundle, e.g. 0,2 or full (default: all)")
    arguments.add_argument("--precision", choices=["fp16", "fp32"], default="fp16",
                           help="of the stored weights (default: fp16)")  # fmt: skip
    arguments.add_argument("--overwrite", action="store_true", help="replace an earlier bundle")
    given = arguments.parse_args()
    source = blend_from(given) if given.blend else folds_from(given)
    title = given.title or f"auxfold {name_of(source).replace('_', ' ')}"
    names = KaggleNames(given.owner, title, given.competition or competition_of(source.experiment))
    notebook = NOTEBOOKS / NOTEBOOK
    folder = write_bundle(source, names, notebook, given.precision, given.overwrite)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    count = len(read_json(folder / "dataset" / MANIFEST)["folds"])
    print(f"{folder}: {count} folds in {given.precision}, {size / 1e6:,.1f} MB")
    print("with the kaggle command and your token:\n")
    print("\n".join(commands(folder, names)))


def folds_from(given: argparse.Namespace) -> Ensemble:
    """The folds of the experiment."""
    return Ensemble.of(experiment_from(given), parse_folds(given.folds))


def blend_from(given: argparse.Namespace) -> Blend:
    """The blend; what names an experiment is refused beside it."""
    refuse_with_blend(given, ("set", "rows", "folds"))
    return Blend.at(given.blend)
