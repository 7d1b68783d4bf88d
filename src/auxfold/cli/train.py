"""Train one fold, every fold (one process each), or one model on all rows."""

from __future__ import annotations

import argparse
import os

from auxfold.cli.experiment_options import (
    ANNOUNCED,
    add_experiment_options,
    add_verify,
    announce,
    check_training_files,
    experiment_arguments,
    read_experiment,
)
from auxfold.cli.options import make_parser
from auxfold.cli.processes import call_command
from auxfold.config.differences import describe_differences
from auxfold.config.experiment import Experiment, load_experiment, to_toml
from auxfold.errors import InputError
from auxfold.storage.atomic import write_text
from auxfold.storage.folds import check_fold, check_folds
from auxfold.storage.lock import check_unlocked
from auxfold.storage.run_folder import FULL, RunFolder
from auxfold.storage.trained import check_settings
from auxfold.storage.working import check_overwrite

EXAMPLES = """\
  auxfold train --config configs/jigsaw_2019.toml --fold 0
  auxfold train --config configs/sample.toml --fold all --resume
  auxfold train --config configs/sample.toml --fold full
  auxfold train --config configs/sample.toml --fold 0 --dry-run
  accelerate launch -m auxfold train --config configs/jigsaw_2019.toml --fold 0
"""
ALL = "all"


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    experiment = read_experiment(args)
    if args.fold != FULL and RunFolder.of(experiment).folds_info.is_file():
        check_folds(RunFolder.of(experiment), experiment)
    folds = parse_fold(args.fold, experiment)
    check_training_files(experiment)
    if args.dry_run or folds == [FULL]:  # there need be no folds, whose tags are stored
        from auxfold.data.learned_tags import learn_tags

        experiment = learn_tags(experiment)
    from auxfold.tasks.metrics.names import check_selection_metric_name

    check_selection_metric_name(experiment)
    if args.dry_run:
        from auxfold.training.dry_run import plan_fold

        for line in plan_fold(experiment, folds[0], len(folds), args.verify):
            print(line, flush=True)
        return
    check_untrained(experiment, folds, args)
    check_other_folds(experiment, folds, args.overwrite)
    store_experiment(experiment, folds)
    if args.fold == ALL:
        train_all(args, folds)
        return
    from auxfold.training.fold import train_fold

    folder = train_fold(experiment, folds[0], args.resume, args.overwrite, args.verify)
    print(f"fold folder: {folder.path}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("train", __doc__, EXAMPLES)
    add_experiment_options(parser)
    parser.add_argument("--fold", required=True, help="a number from 0, 'all' or 'full'")
    parser.add_argument("--resume", action="store_true", help="continue where it stopped")
    parser.add_argument("--overwrite", action="store_true", help="train a finished fold again")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would happen, with steps, memory and time; write nothing",
    )
    add_verify(parser)
    args = parser.parse_args(argv)
    if args.resume and args.overwrite:
        raise InputError("--resume and --overwrite contradict each other; give one")
    return args


def parse_fold(text: str, experiment: Experiment) -> list[int | str]:
    """The folds that ``--fold`` names.

    Raises:
        InputError: no such fold.
    """
    if text == ALL:
        return list(experiment.folds.names)
    if text == FULL:
        return [FULL]
    if not text.isdecimal():
        raise InputError(f"--fold {text}: a number from 0, 'all' or 'full'")
    check_fold(experiment, int(text))
    return [int(text)]


def check_untrained(
    experiment: Experiment, folds: list[int | str], args: argparse.Namespace
) -> None:
    """Refuse a training without folds, or one that would replace the next fold to train unasked.

    Raises:
        InputError: make the folds first, or give ``--overwrite`` or ``--resume``; or another
            process trains the fold.
    """
    folder = RunFolder.of(experiment)
    if folds != [FULL]:
        check_folds(folder, experiment)
    fold = folder.fold(folds[0])
    if is_first_process():
        check_unlocked(fold)
    is_finished = fold.exists() and not fold.working.exists()
    if not (args.resume and is_finished):
        check_overwrite(fold, args.resume, args.overwrite)


def check_other_folds(experiment: Experiment, folds: list[int | str], overwrite: bool) -> None:
    """Refuse to train folds next to finished ones of other settings, which are never averaged.

    Raises:
        InputError: naming the keys that differ.
    """
    if folds == [FULL]:
        return
    folder = RunFolder.of(experiment)
    for number in folder.finished():
        if number == FULL or (overwrite and number in folds):
            continue
        try:
            check_settings(folder.fold(number), experiment)
        except InputError as error:
            if not overwrite:
                raise
            announce(f"note: {error}")


def store_experiment(experiment: Experiment, folds: list[int | str]) -> None:
    """Store what is trained for ``--run``, and say where it differs from what was stored before."""
    path = RunFolder.of(experiment).experiment
    if not is_first_process() or (folds == [FULL] and path.is_file()):
        return
    differences = None
    if path.is_file():
        differences = describe_differences(load_experiment(path), experiment)
    if differences is not None:
        announce(f"note: {path} had {differences}; it has the new settings now")
    write_text(path, to_toml(experiment))


def is_first_process() -> bool:
    """Whether this is the only process, or the first of those that a launcher has started."""
    return os.environ.get("RANK", "0") == "0"


def train_all(args: argparse.Namespace, folds: list[int | str]) -> None:
    """Train each fold in a process of its own, so that none inherits another's state."""
    options = experiment_arguments(args, args.set)
    options += [] if args.rows is None else ["--rows", str(args.rows)]
    options += [f"--{name}" for name in ("resume", "overwrite") if getattr(args, name)]
    environment = {**os.environ, ANNOUNCED: "1"}
    for fold in folds:
        verify = ["--verify"] if args.verify and fold == folds[0] else []
        call_command("train", *options, "--fold", str(fold), *verify, environment=environment)
