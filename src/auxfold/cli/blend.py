"""Blend runs by weights found out of fold, or prediction files by weights that you give."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.blending.candidates import Candidates, join_members
from auxfold.blending.members import Member
from auxfold.blending.methods import (
    EQUAL_METHODS,
    METHODS,
    BlendOptions,
    check_methods,
    select_methods,
)
from auxfold.blending.nested import choose_method, fit_methods
from auxfold.blending.single_runs import (
    best_single_run,
    prediction_correlations,
    score_single_runs,
)
from auxfold.blending.summary import blend_record, format_blend
from auxfold.cli.options import add_precision, check_precisions, refuse
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.inference.file_blend import blend_files
from auxfold.postprocessing.averaging import AVERAGES
from auxfold.postprocessing.postprocess import fit_postprocess, judge_postprocess
from auxfold.report.page import calibration_lines, threshold_lines
from auxfold.storage.atomic import write_frame, write_json
from auxfold.storage.run_folder import OUTPUTS, RunFolder, check_trained_with, read_folds
from auxfold.training.split import folds_info, load_training_table

EXAMPLES = """\
  python scripts/blend.py --runs sample,sample_large --method all
  python scripts/blend.py --runs a,b,c --method hill_climbing --negative --name my_blend
  python scripts/blend.py --runs a,b,c --metric auc --by column     # over all tasks' columns
  python scripts/inference.py --blend outputs/my_blend              # the submission
  python scripts/blend.py --predictions a.csv,b.csv --weights 2,1 --method rank --output out.csv
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="examples:\n" + EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--runs", help="names in outputs/ or run folders, all folds trained: a,b,c")
    what.add_argument(
        "--predictions", metavar="F", help="prediction files, joined by id: a.csv,b.csv"
    )
    parser.add_argument(
        "--method", help=f"{', '.join(METHODS)}, or all (default: all; files: mean)"
    )
    parser.add_argument("--power", type=float, help="exponent of power (default: 3.5)")
    runs = parser.add_argument_group("with --runs")
    runs.add_argument("--metric", help="<task>/<metric>, or <metric> over all tasks' columns")
    help_text = "scale on which the fitted weights average (default: probability)"
    runs.add_argument("--average", choices=AVERAGES, help=help_text)
    runs.add_argument("--negative", action="store_true", help="fitted weights may be below zero")
    runs.add_argument("--step", type=float, help="of hill climbing (default: 0.1)")
    runs.add_argument("--by", choices=["run", "column"], help="a weight per run, or per column too")
    runs.add_argument("--draws", type=int, help="bootstrap samples of the gain (default: 200)")
    runs.add_argument("--seed", type=int, help="of the bootstrap (default: 42)")
    add_precision(runs)
    runs.add_argument("--name", help="outputs/<name>/ (default: blend)")
    files = parser.add_argument_group("with --predictions")
    files.add_argument("--weights", help="one number per file: 2,1 (default: equal)")
    files.add_argument("--output", help=".csv or .parquet file to write")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    check_given(given)
    if given.predictions:
        of_files(given)
    else:
        of_runs(given)


OPTIONS = ("average", "power", "negative", "step", "draws", "seed")
ONLY_RUNS = ("metric", "average", "negative", "step", "by", "draws", "seed", "precision", "name")
ONLY_FILES = ("weights", "output")


def check_given(given: argparse.Namespace) -> None:
    """Refuse an option that would have no effect, and numbers that cannot be."""
    here, others = ("--predictions", ONLY_RUNS) if given.predictions else ("--runs", ONLY_FILES)
    used = {"--power": "power" in (given.method, given.average) or given.method in (None, "all")}
    if given.predictions:
        used["--power"] = given.method == "power"
    elif given.method in EQUAL_METHODS:
        used |= dict.fromkeys(("--average", "--negative", "--by", "--step"), False)
    elif given.method == "nelder_mead":
        used["--step"] = False
    refuse(given, others, f"has no effect with {here}")
    unused = [name.lstrip("-") for name, has_effect in used.items() if not has_effect]
    refuse(given, unused, f"has no effect with --method {given.method}")
    for name, least in (("power", 1e-3), ("step", 1e-3), ("draws", 0), ("seed", 0)):
        value = getattr(given, name)
        if value is not None and not least <= value < 2**32:
            raise InputError(f"--{name} {value}: at least {least:g}")


def of_files(given: argparse.Namespace) -> None:
    """Blend prediction files."""
    paths, method = parse_list(given.predictions), given.method or "mean"
    if method not in EQUAL_METHODS:
        raise InputError(f"--method {method}: files are blended by {', '.join(EQUAL_METHODS)}")
    if len(paths) < 2:
        raise InputError("--predictions takes two files or more, separated by commas")
    if not given.output:
        raise InputError("--predictions needs --output F")
    output = Path(given.output)
    if output.resolve() in {Path(path).resolve() for path in paths}:
        raise InputError(f"--output {output} is one of the files to blend; give another file")
    power = BlendOptions.power if given.power is None else given.power
    frame = blend_files(paths, parse_weights(given.weights), EQUAL_METHODS[method], power)
    write_frame(output, frame)
    print(f"{len(frame):,} rows, {len(paths)} files: {output}")


def of_runs(given: argparse.Namespace) -> None:
    """Find weights of runs, tell what they bring, and store the best method's."""
    names = parse_list(given.runs)
    if len(names) < 2:
        raise InputError("--runs takes two runs or more, separated by commas")
    folder, precisions = blend_folder(given.name or "blend"), check_precisions(given.precision)
    members = [Member.load(name) for name in names]
    known = [member.name for member in members]
    if len(set(known)) < len(known):
        raise InputError(f"--runs {given.runs}: two of them have one name")
    table, folds = rows_of_first(members[0])
    candidates = join_members(members, table, folds, given.metric)
    options = options_of(given)
    wanted = given.method or "all"
    methods = select_methods(METHODS, candidates, options) if wanted == "all" else [wanted]
    check_methods(methods, candidates, options)
    single_scores = score_single_runs(candidates, known)
    best = best_single_run(candidates, single_scores)
    fitted = fit_methods(candidates, methods, best, options)
    chosen = choose_method(fitted, candidates.sign)
    correlations = prediction_correlations(candidates)
    record = blend_record(members, candidates, single_scores, fitted, chosen, correlations, options)
    id_column = members[0].experiment.data.id_column
    oof = candidates.tasks.prediction_frame(id_column, table.ids, chosen.nested_predictions)
    lines = add_postprocess(record, candidates, oof, precisions)
    write_frame(folder.oof, oof)
    write_json(folder.blend, record)
    print(format_blend(record) + "\n")
    print("\n".join(lines))
    if wanted == "all" and len(methods) < len(METHODS):
        left = [method for method in METHODS if method not in methods]
        print(f"without a meaning for {candidates.metric}: {', '.join(left)}")
    print(f"\nblend: {folder.blend}\nsubmission: python scripts/inference.py --blend {folder.path}")


def add_postprocess(
    record: dict[str, Any], candidates: Candidates, oof: pd.DataFrame, precisions: list[float]
) -> list[str]:
    """Thresholds and calibration of the blend into its record; what they bring, to be read."""
    if record["average"] == "rank":
        return ["mean ranks are no probabilities: no thresholds and no calibration are stored"]
    tasks = candidates.tasks
    labels = candidates.labels
    judged = judge_postprocess(tasks, labels, oof, candidates.folds, precisions)
    record["postprocess"] = fit_postprocess(tasks, labels, oof, judged)
    return [*threshold_lines(judged), *calibration_lines(judged)]


def options_of(given: argparse.Namespace) -> BlendOptions:
    """What was given, over the defaults."""
    told = {name: getattr(given, name) for name in OPTIONS} | {"by_column": given.by == "column"}
    return BlendOptions(**{name: value for name, value in told.items() if value is not None})


def blend_folder(name: str) -> RunFolder:
    """Where the blend goes; never into the folder of a run."""
    if Path(name).name != name or name in (".", ".."):
        raise InputError(f"--name {name}: a name, which becomes outputs/<name>/")
    folder = RunFolder(OUTPUTS / name)
    if folder.finished() or folder.folds.exists():
        raise InputError(f"{folder.path} is a run of its own; give the blend another --name")
    return folder


def rows_of_first(first: Member) -> tuple[Table, np.ndarray]:
    """The first run's training rows and their folds, checked to be those it was trained on."""
    table = load_training_table(first.experiment)
    check_trained_with(first.folders, first.experiment, table.fingerprint())
    folder = RunFolder(first.folders[0].path.parent)
    return table, read_folds(folder, table.ids, folds_info(first.experiment, table))


def parse_list(text: str) -> list[str]:
    """``"a,b"`` to ``["a", "b"]``."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_weights(text: str | None) -> list[float] | None:
    """``"2,1"`` to ``[2.0, 1.0]``."""
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--weights {text}: numbers separated by commas") from None
