"""Blend runs by weights fitted out of fold, or prediction files by weights that you give."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from auxfold.blending.options import EQUAL_METHODS, METHODS, BlendOptions
from auxfold.cli.commands import as_called
from auxfold.cli.experiment_options import add_trust_reader
from auxfold.cli.options import (
    add_target_precision,
    check_target_precisions,
    make_parser,
    parse_list,
    refuse,
)
from auxfold.cli.prediction_file import (
    add_spreadsheet_safe,
    check_spreadsheet_safe,
    write_predictions,
)
from auxfold.config import Inference
from auxfold.data.paths import check_exists
from auxfold.errors import InputError, nearest
from auxfold.storage.atomic import write_frame
from auxfold.storage.folds import read_folds
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import OUTPUTS, RunFolder
from auxfold.storage.trained import check_trained_with

if TYPE_CHECKING:
    import numpy as np

    from auxfold.blending.blend import FittedBlend
    from auxfold.blending.members import Member
    from auxfold.data.table import Table

EXAMPLES = """\
  auxfold blend --runs sample,sample_large --method all
  auxfold blend --runs a,b,c --method hill_climbing --negative --name my_blend
  auxfold blend --runs a,b,c --metric auc --by column     # over all tasks' columns
  auxfold inference --blend outputs/my_blend              # the submission
  auxfold blend --predictions a.csv,b.csv --weights 2,1 --method rank --output out.csv
"""
# Of predictions: the weights of different runs have no mean.
AVERAGES = [n for n in get_args(Inference.model_fields["average"].annotation) if n != "soup"]
# Options that are fields of BlendOptions, options of one of the two uses, and least values.
FIELDS = ("average", "power", "negative", "step", "draws", "seed")
ONLY_RUNS = (
    "metric", "average", "negative", "step", "by", "draws", "seed", "target_precision", "name",
    "trust_reader",
)  # fmt: skip
ONLY_FILES = ("weights", "output", "spreadsheet_safe")
MINIMUMS = {"power": 1e-3, "step": 1e-3, "draws": 0, "seed": 0}


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    check_args(args)
    if args.predictions:
        blend_prediction_files(args)
    else:
        blend_runs(args)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("blend", __doc__, EXAMPLES)
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument(
        "--runs", help="names in outputs/ or run folders, all folds trained: a,b,c"
    )
    sources.add_argument(
        "--predictions", metavar="F", help="prediction files, joined by id: a.csv,b.csv"
    )
    parser.add_argument(
        "--method", help=f"{', '.join(METHODS)}, or all (default: all; files: mean)"
    )
    parser.add_argument("--power", type=float, help="exponent of power (default: 3.5)")
    runs = parser.add_argument_group("with --runs")
    runs.add_argument("--metric", help="<task>/<metric>, or <metric> over all tasks' columns")
    runs.add_argument(
        "--average",
        choices=AVERAGES,
        help="scale on which the fitted weights average (default: probability)",
    )
    runs.add_argument("--negative", action="store_true", help="fitted weights may be below zero")
    runs.add_argument("--step", type=float, help="of hill climbing (default: 0.1)")
    runs.add_argument("--by", choices=["run", "column"], help="a weight per run, or per column too")
    runs.add_argument("--draws", type=int, help="bootstrap samples of the gain (default: 200)")
    runs.add_argument("--seed", type=int, help="of the bootstrap (default: 42)")
    add_target_precision(runs)
    runs.add_argument("--name", help="outputs/<name>/ (default: blend)")
    add_trust_reader(runs)
    files = parser.add_argument_group("with --predictions")
    files.add_argument("--weights", help="one number per file: 2,1 (default: equal)")
    files.add_argument("--output", help=".csv or .parquet file to write")
    add_spreadsheet_safe(files)
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> None:
    """Refuse an option that would have no effect, and numbers out of range.

    Raises:
        InputError: naming the option.
    """
    used, others = ("--predictions", ONLY_RUNS) if args.predictions else ("--runs", ONLY_FILES)
    effects = {"power": "power" in (args.method, args.average) or args.method in (None, "all")}
    if args.predictions:
        effects["power"] = args.method == "power"
    elif args.method in EQUAL_METHODS:
        effects |= dict.fromkeys(("average", "negative", "by", "step"), False)
    elif args.method == "nelder_mead":
        effects["step"] = False
    refuse(args, others, f"has no effect with {used}")
    unused = [name for name, has_effect in effects.items() if not has_effect]
    refuse(args, unused, f"has no effect with --method {args.method}")
    for name, minimum in MINIMUMS.items():
        value = getattr(args, name)
        if value is not None and not minimum <= value < 2**32:
            raise InputError(f"--{name} {value}: at least {minimum:g}")


def blend_prediction_files(args: argparse.Namespace) -> None:
    """Blend prediction files by the weights of ``--weights``."""
    paths, method = parse_list(args.predictions), args.method or "mean"
    if method not in EQUAL_METHODS:
        raise InputError(f"--method {method}: files are blended by {', '.join(EQUAL_METHODS)}")
    if len(paths) < 2:
        raise InputError("--predictions takes two files or more, separated by commas")
    if not args.output:
        raise InputError("--predictions needs --output F")
    output = Path(args.output)
    if output.resolve() in {Path(path).resolve() for path in paths}:
        raise InputError(f"--output {output} is one of the files to blend; give another file")
    check_spreadsheet_safe(args, output)
    weights = parse_weights(args.weights)
    for path in paths:
        check_exists(path)
    from auxfold.inference.file_blend import blend_files

    power = BlendOptions.power if args.power is None else args.power
    frame = blend_files(paths, weights, EQUAL_METHODS[method], power)
    write_predictions(args, output, frame)
    print(f"{len(frame):,} rows, {len(paths)} files: {output}")


def blend_runs(args: argparse.Namespace) -> None:
    """Fit the weights of runs, print what they bring, and store those of the best method."""
    names = parse_list(args.runs)
    if len(names) < 2:
        raise InputError("--runs takes two runs or more, separated by commas")
    folder = blend_folder(args.name or "blend")
    target_precisions = check_target_precisions(args.target_precision)
    method = None if args.method == "all" else args.method
    if method is not None and method not in METHODS:
        hint = nearest(method, METHODS)
        raise InputError(f"--method {method}{hint}; one of {', '.join(METHODS)}, or all")
    from auxfold.blending.blend import fit_blend
    from auxfold.blending.members import Member

    members = [Member.load(name, args.trust_reader) for name in names]
    if len({member.name for member in members}) < len(members):
        raise InputError(f"--runs {args.runs}: two of them have one name")
    table, folds = load_rows(members[0])
    blend = fit_blend(
        members, table, folds, args.metric, method, parse_options(args), target_precisions
    )
    write_frame(folder.oof, blend.oof)
    write_record(folder.blend, blend.record)
    print_blend(blend)
    submission = as_called(f"auxfold inference --blend {folder.path}")
    print(f"\nblend: {folder.blend}\nsubmission: {submission}")


def print_blend(blend: FittedBlend) -> None:
    """Print the methods' scores and weights, and what thresholds and calibration bring."""
    from auxfold.blending.summary import format_blend
    from auxfold.report.tables import describe_calibration, describe_thresholds

    print(format_blend(blend.record) + "\n")
    if blend.gains is None:
        print("mean ranks are no probabilities: no thresholds and no calibration are stored")
    else:
        print("\n".join([*describe_thresholds(blend.gains), *describe_calibration(blend.gains)]))
    if blend.unsuitable:
        print(f"without a meaning for {blend.record['metric']}: {', '.join(blend.unsuitable)}")


def parse_options(args: argparse.Namespace) -> BlendOptions:
    """The options that were given, over the defaults."""
    values = {name: getattr(args, name) for name in FIELDS} | {"by_column": args.by == "column"}
    return BlendOptions(**{name: value for name, value in values.items() if value is not None})


def blend_folder(name: str) -> RunFolder:
    """The folder of the blend.

    Raises:
        InputError: no name of a folder, or the name of a run.
    """
    if Path(name).name != name or name in (".", ".."):
        raise InputError(f"--name {name}: a name, which becomes outputs/<name>/")
    folder = RunFolder(OUTPUTS / name)
    if folder.finished() or folder.folds.exists():
        raise InputError(f"{folder.path} is a run of its own; give the blend another --name")
    return folder


def load_rows(first: Member) -> tuple[Table, np.ndarray]:
    """The first run's rows that a fold holds out, checked to be those it has, and their folds."""
    from auxfold.evaluation.cross_validation import select_held_out
    from auxfold.training.split import accept_former_fingerprint, load_training_table

    table = load_training_table(first.experiment)
    folder = RunFolder(first.folders[0].path.parent)
    accept_former_fingerprint(folder, first.experiment, table)
    check_trained_with(first.folders, first.experiment, table.fingerprint())
    return select_held_out(
        table, read_folds(folder, table.ids, first.experiment, table.fingerprint())
    )


def parse_weights(text: str | None) -> list[float] | None:
    """``"2,1"`` to ``[2.0, 1.0]``."""
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--weights {text}: numbers separated by commas") from None
