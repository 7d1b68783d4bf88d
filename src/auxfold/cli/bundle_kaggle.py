"""Write a Kaggle dataset and a notebook that predicts with trained folds, or trains them there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from auxfold.cli.experiment_options import (
    add_experiment_options,
    announce,
    check_blend,
    check_trained,
    check_training_files,
    read_experiment,
)
from auxfold.cli.options import make_parser, parse_folds, refuse, refuse_with_blend
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
  auxfold bundle-kaggle --train --config configs/jigsaw_2025.toml --owner your-user-name \\
      --wheels wheels --hours 11 --backbone-source owner/model/transformers/variation/1
"""
NOTEBOOK = Path("notebooks/kaggle_inference.ipynb")
TRAINING_NOTEBOOK = Path("notebooks/kaggle_training.ipynb")
TRAINING_OPTIONS = ("hours", "gpus_per_fold", "resume")
PRECISION = "fp16"
HOURS = 8.5  # a notebook may run for 9 hours
CHECKOUT = Path(__file__).resolve().parents[3]  # where the package is used from its repository


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    notebook = find_notebook(args.notebook, TRAINING_NOTEBOOK if args.train else NOTEBOOK)
    if args.train:
        bundle_training(args, notebook)
        return
    precision = args.precision or PRECISION
    source, names = load_blend(args) if args.blend else load_folds(args)
    from auxfold.kaggle.bundle import kaggle_commands, write_bundle

    folder = write_bundle(
        source,
        names,
        notebook,
        precision,
        args.overwrite,
        args.merge_adapters,
        args.backbone_source,
        None if args.wheels is None else Path(args.wheels),
    )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    manifest = read_json(folder / "dataset" / MANIFEST)
    print(
        f"{folder}: {len(manifest['folds'])} folds in {manifest['precision']}, {size / 1e6:,.1f} MB"
    )
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
    parser.add_argument(
        "--title",
        help="of the dataset (default: auxfold <name>, with --train auxfold <name> training)",
    )
    parser.add_argument("--competition", help="default: the name of the test file's folder")
    parser.add_argument("--folds", help="folds to bundle or train, e.g. 0,2 or full (default: all)")
    parser.add_argument(
        "--precision",
        choices=["fp16", "fp32"],
        help=f"of the weights of plain folds (default: {PRECISION}); adapters stay as trained",
    )
    parser.add_argument(
        "--merge-adapters",
        action="store_true",
        help="bundle adapters as plain folds, which are larger, and need no peft and no backbone",
    )
    parser.add_argument(
        "--backbone-source",
        metavar="NAME",
        help="a Kaggle model (owner/model/framework/variation/version) or dataset (owner/name) "
        "with the backbone (default: its files go into the bundle)",
    )
    parser.add_argument(
        "--wheels",
        metavar="DIR",
        help="a folder of wheels, installed there where a package is missing or too old",
    )
    parser.add_argument(
        "--notebook",
        metavar="F",
        help=f"the notebook to push (default: {NOTEBOOK}, with --train {TRAINING_NOTEBOOK})",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier bundle")
    add_training_options(parser)
    args = parser.parse_args(argv)
    if args.train:
        refuse(args, ("blend", "precision", "merge_adapters"), "has no effect with --train")
    else:
        refuse(args, TRAINING_OPTIONS, "has no effect without --train")
    return args


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """``--train`` and the options that are for it."""
    training = parser.add_argument_group("training inside Kaggle")
    training.add_argument(
        "--train",
        action="store_true",
        help="write a notebook that trains the folds there, the first named first",
    )
    training.add_argument(
        "--hours",
        type=float,
        metavar="H",
        help=f"the time budget of the notebook (default: {HOURS:g})",
    )
    training.add_argument(
        "--gpus-per-fold",
        type=int,
        choices=[1, 2],
        help="2: both GPUs train one fold together; 1, the default: one fold each",
    )
    training.add_argument(
        "--resume",
        action="store_true",
        help="attach the output of the notebook's earlier version, and continue its folds",
    )


def bundle_training(args: argparse.Namespace, notebook: Path) -> None:
    """Write the dataset and the notebook that trains inside Kaggle.

    Raises:
        InputError: the kernel would fail there.
    """
    hours = HOURS if args.hours is None else args.hours
    if not 0 < hours < float("inf"):
        raise InputError(f"--hours {args.hours:g}: a number of hours above 0")
    folds = parse_folds(args.folds)
    experiment = read_experiment(args, with_tags=False)
    check_training_files(experiment)
    competition = args.competition or competition_name(experiment)
    title = args.title or f"{default_title(experiment.name)} training"
    names = KaggleNames(args.owner, title, competition, purpose="kernel")
    from auxfold.kaggle.training_plan import TrainingPlan

    plan = TrainingPlan(
        experiment=experiment,
        names=names,
        folds=[*experiment.folds.names] if folds is None else folds,
        hours=hours,
        gpus_per_fold=args.gpus_per_fold or 1,
        backbone_source=args.backbone_source,
        wheels=None if args.wheels is None else Path(args.wheels),
        resumes=args.resume,
    )
    plan.check()
    from auxfold.kaggle.training_bundle import training_commands, write_training_bundle

    folder = write_training_bundle(plan, notebook, args.overwrite)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    named = f"folds {args.folds}" if args.folds else "all folds"
    print(f"{folder}: trains {named} in {hours:g} hours, {size / 1e6:,.1f} MB")
    print("with the kaggle command and your token:\n")
    print("\n".join(training_commands(folder, plan)))


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


def find_notebook(path: str | None, default: Path = NOTEBOOK) -> Path:
    """The notebook of ``--notebook``, else that of the repository.

    Raises:
        InputError: it is not there.
    """
    candidates = [Path(path)] if path else [default, CHECKOUT / default]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    hint = "" if path else "; give --notebook F with the repository's notebook of that name"
    raise InputError(f"no notebook {candidates[0]}{hint}")
