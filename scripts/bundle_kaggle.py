"""Write a Kaggle dataset and an offline notebook for the trained folds of an experiment."""

from pathlib import Path

from auxfold.command import experiment_from, parse_folds, parser, run
from auxfold.inference.ensemble import Ensemble
from auxfold.kaggle.bundle import NOTEBOOK, Names, commands, competition_of, write_bundle

EXAMPLES = """\
  python scripts/bundle_kaggle.py --config configs/jigsaw_2019.toml --owner your-user-name
  python scripts/bundle_kaggle.py --config configs/jigsaw_2019.toml --owner your-user-name \\
      --folds 0,2 --title "civil five" --precision fp32 --overwrite
"""
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--owner", required=True, help="your Kaggle user name")
    arguments.add_argument("--title", help="of the dataset (default: auxfold <experiment>)")
    arguments.add_argument("--competition", help="default: the name of the test file's folder")
    arguments.add_argument("--folds", help="folds to bundle, e.g. 0,2 or full (default: all)")
    arguments.add_argument("--precision", choices=["fp16", "fp32"], default="fp16",
                           help="of the stored weights (default: fp16)")  # fmt: skip
    arguments.add_argument("--overwrite", action="store_true", help="replace an earlier bundle")
    given = arguments.parse_args()
    experiment = experiment_from(given)
    title = given.title or f"auxfold {experiment.name.replace('_', ' ')}"
    names = Names(given.owner, title, given.competition or competition_of(experiment))
    ensemble = Ensemble.of(experiment, parse_folds(given.folds))
    notebook = NOTEBOOKS / NOTEBOOK
    folder = write_bundle(ensemble, names, notebook, given.precision, given.overwrite)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    print(f"{folder}: {len(ensemble.folders)} folds in {given.precision}, {size / 1e6:,.1f} MB")
    print("with the kaggle command and your token:\n")
    print("\n".join(commands(folder, names)))


if __name__ == "__main__":
    run(main)
