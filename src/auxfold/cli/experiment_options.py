"""The experiment that a command works on: its options, its file, and what must be there already."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from auxfold.config import TagsSettings
from auxfold.config.experiment import Experiment, load_experiment
from auxfold.config.tags_settings import fill_learned_keys
from auxfold.data.paths import check_exists
from auxfold.errors import InputError
from auxfold.storage.run_folder import RunFolder
from auxfold.storage.trained import check_trained_with, trained_folds

DEFAULT_CONFIG = "configs/jigsaw_2019.toml"
# Set for the processes that train the single folds of one experiment, which was announced already.
ANNOUNCED = "AUXFOLD_EXPERIMENT_ANNOUNCED"


def add_experiment_options(parser: argparse.ArgumentParser) -> None:
    """``--config``, ``--run``, ``--set``, ``--rows`` and ``--trust-reader``."""
    parser.add_argument(
        "--config",
        metavar="C",
        help=f"experiment file (default: {DEFAULT_CONFIG}, where that file exists)",
    )
    parser.add_argument(
        "--run",
        metavar="NAME",
        help="the stored experiment of the run outputs/NAME, instead of --config",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key of the experiment file, e.g. --set train.epochs=3; repeatable",
    )
    parser.add_argument(
        "--rows",
        type=int,
        metavar="N",
        help="a quick trial on N rows of the training file; its name gets _rowsN",
    )
    add_trust_reader(parser)


def add_trust_reader(parser: argparse._ActionsContainer) -> None:
    """``--trust-reader``."""
    parser.add_argument(
        "--trust-reader",
        action="store_true",
        help="run the Python code that the stored experiment of a run names (data.reader, "
        "model.trust_remote_code); your own file of --config needs no permission",
    )


def add_verify(parser: argparse.ArgumentParser) -> None:
    """``--verify``."""
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read the training table even where the run's copy of it is up to date",
    )


def read_experiment(
    args: argparse.Namespace, as_json: bool = False, with_tags: bool = True
) -> Experiment:
    """The experiment of ``--config`` or ``--run``, with every ``--set`` and ``--rows`` applied.

    The first line that a command prints says which experiment it is. With ``as_json`` nothing is
    printed here. :func:`print_json` prints the line on stderr, before the result. ``with_tags``
    completes tasks of tags with what make_folds learned for the run, if it did.

    Raises:
        InputError: there is no such experiment, or it is not valid.
    """
    path, trust = experiment_path(args), trusts_reader(args)
    experiment = load_experiment(path, args.set, trust)
    if args.rows is not None:
        # A name of its own keeps a trial on a few rows apart from the real run.
        trial = [f"data.rows={args.rows}", f"name={experiment.name}_rows{args.rows}"]
        experiment = load_experiment(path, [*args.set, *trial], trust)
    if not as_json:
        announce_experiment(args, experiment)
    return _with_stored_tags(experiment) if with_tags else experiment


def announce_experiment(
    args: argparse.Namespace, experiment: Experiment, as_json: bool = False
) -> None:
    """Print which experiment a command works on, and the file that it is from."""
    is_default = args.config is None and args.run is None
    origin = f"{experiment_path(args)}{', the default' if is_default else ''}"
    announce(f"experiment {experiment.name} ({origin})", as_json)


def print_json(args: argparse.Namespace, experiment: Experiment, content: object) -> None:
    """Print one JSON object on stdout, and on stderr which experiment it is about.

    The line comes this late so that a refusal is the only line on stderr.
    """
    announce_experiment(args, experiment, as_json=True)
    print(json.dumps(content, allow_nan=False))


def announce(line: str, as_json: bool = False) -> None:
    """Print what a command works on, once where several processes train together."""
    if os.environ.get("RANK", "0") == "0" and ANNOUNCED not in os.environ:
        print(line, file=sys.stderr if as_json else sys.stdout, flush=True)


def experiment_path(args: argparse.Namespace) -> Path:
    """The experiment file that ``--config`` or ``--run`` names, or the default one.

    Raises:
        InputError: both options, an unknown run, a run without a stored experiment, or neither
            option where there is no default file.
    """
    if args.config is not None and args.run is not None:
        raise InputError("--config and --run both name an experiment; give one of them")
    if args.run is not None:
        return stored_experiment(RunFolder.named(args.run))
    if args.config is None and not Path(DEFAULT_CONFIG).is_file():
        raise InputError(
            f"which experiment? give --config FILE or --run NAME (the default, {DEFAULT_CONFIG}, "
            f"is not in {Path.cwd()})"
        )
    return Path(args.config or DEFAULT_CONFIG)


def trusts_reader(args: argparse.Namespace) -> bool | None:
    """Whether code that the experiment names may run; None: unless its file is in a run folder."""
    if args.trust_reader:
        return True
    return None if args.run is None else False


def stored_experiment(folder: RunFolder) -> Path:
    """The experiment file of a run: that of its folds, else that of its first trained fold.

    Raises:
        InputError: the run has none, or belongs to another folder.
    """
    path = folder.experiment
    if not path.is_file():
        finished = folder.finished()
        if not finished:
            raise InputError(f"{folder.path} has no stored experiment; give --config FILE")
        fold = folder.fold(finished[0])
        fold.read_run()  # refuses a folder of another version, whose experiment has other keys
        path = fold.experiment
    name = load_experiment(path).name
    if name != folder.path.resolve().name:
        raise InputError(
            f"{path} is of the run {name!r}, not of {folder.path.name!r}; rename the folder back, "
            f"or give --config {path}"
        )
    return path


def _with_stored_tags(experiment: Experiment) -> Experiment:
    """The experiment with the tags that make_folds stored in its run, where it sets none.

    Without stored folds, a model that was trained on all rows has them.
    """
    folder = RunFolder.of(experiment)
    has_tags = any(isinstance(task, TagsSettings) for task in experiment.tasks)
    if not has_tags or not (folder.experiment.is_file() or folder.finished()):
        return experiment
    stored = {task.name: task for task in load_experiment(stored_experiment(folder)).tasks}
    tasks = [
        fill_learned_keys(task, stored[task.name])
        if isinstance(task, TagsSettings) and task.name in stored
        else task
        for task in experiment.tasks
    ]
    return experiment.model_copy(update={"tasks": tasks})


def experiment_arguments(args: argparse.Namespace, settings: Iterable[str]) -> list[str]:
    """The arguments that name an experiment with other settings to another command."""
    trust = ["--trust-reader"] if args.trust_reader else []
    overrides = (part for setting in settings for part in ("--set", setting))
    return ["--config", str(experiment_path(args)), *trust, *overrides]


def check_training_files(experiment: Experiment) -> None:
    """Refuse an experiment whose training or validation file is not there, or may not be read.

    Raises:
        InputError: with the nearest name next to it; a reader that may not run.
    """
    experiment.data.check_code()
    for path in experiment.training_paths:
        check_exists(path)


def check_trained(experiment: Experiment, folds: Sequence[int | str] | None = None) -> None:
    """Refuse folds that are not trained, or were trained with another experiment.

    Args:
        experiment: whose folds are needed.
        folds: which of them; all when left out.

    Raises:
        InputError: naming what is missing or what differs.
    """
    names: list[int | str] = [*(experiment.folds.names if folds is None else folds)]
    folders = trained_folds(RunFolder.of(experiment), names, experiment)
    check_trained_with(folders, experiment)


def check_blend(path: str) -> RunFolder:
    """The folder of a blend.

    Raises:
        InputError: there is no blend.
    """
    folder = RunFolder(Path(path))
    if not folder.blend.is_file():
        raise InputError(f"no {folder.blend}; make it with scripts/blend.py --runs")
    return folder
