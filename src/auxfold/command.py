"""What every command shares: ``--config``, ``--set``, and errors written for a person."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from auxfold.errors import InputError
from auxfold.experiment import Experiment, load_experiment
from auxfold.run_folder import FULL

DEFAULT_CONFIG = "configs/jigsaw_2019.toml"


def parser(description: str, examples: str) -> argparse.ArgumentParser:
    """An argument parser with ``--config`` and ``--set`` and the given examples below the help."""
    made = argparse.ArgumentParser(
        description=description,
        epilog="examples:\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "--config",
        default=DEFAULT_CONFIG,
        metavar="C",
        help=f"experiment file (default: {DEFAULT_CONFIG})",
    )
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key of the experiment file, e.g. --set train.epochs=3; repeatable",
    )
    made.add_argument(
        "--rows",
        type=int,
        metavar="N",
        help="a quick trial on N rows of the training file; its name gets _rowsN",
    )
    return made


def experiment_from(arguments: argparse.Namespace) -> Experiment:
    """The experiment named by ``--config`` with every ``--set`` and ``--rows`` applied."""
    experiment = load_experiment(arguments.config, arguments.set)
    if arguments.rows is None:
        return experiment
    # A name of its own: what is tried on a few rows never mixes with the real thing.
    trial = [f"data.rows={arguments.rows}", f"name={experiment.name}_rows{arguments.rows}"]
    return load_experiment(arguments.config, [*arguments.set, *trial])


def add_other_names(parser: argparse.ArgumentParser, table: str) -> None:
    """``--rename`` and ``--without-ids``, for a table that is not named as the experiment's."""
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help=f"a column of {table} = its name in the experiment; repeatable",
    )
    parser.add_argument(
        "--without-ids",
        action="store_true",
        help=f"{table} has no ids: its rows are numbered from 0",
    )


def parse_renames(given: list[str]) -> dict[str, str]:
    """``["text=comment_text"]`` as old to new name."""
    pairs = [text.partition("=") for text in given]
    for old, equals, new in pairs:
        if not (old and equals and new):
            raise InputError(f"--rename {old}{equals}{new}: expected OLD=NEW")
    return {old: new for old, _, new in pairs}


def add_precision(parser: argparse._ActionsContainer) -> None:
    """``--precision``, of commands that tune thresholds out of fold."""
    help_text = "tune thresholds for this precision too, e.g. 0.9; repeatable"
    parser.add_argument("--precision", type=float, action="append", metavar="P", help=help_text)


def check_precisions(given: list[float] | None) -> list[float]:
    """Each once, and refused where no share of rows can be it."""
    for precision in given or []:
        if not 0 < precision <= 1:
            raise InputError(f"--precision {precision:g}: a number above 0 and up to 1")
    return list(dict.fromkeys(given or []))


def refuse_with_blend(given: argparse.Namespace, names: Iterable[str]) -> None:
    """Refuse options that name an experiment, or have no meaning, beside ``--blend``."""
    for name in names:
        if getattr(given, name):
            raise InputError(f"--{name.replace('_', '-')} has no effect with --blend")
    if given.config != DEFAULT_CONFIG:
        raise InputError("--config has no effect with --blend: the runs' own experiments hold")


def parse_folds(text: str | None) -> list[int | str] | None:
    """``"0,2"`` to ``[0, 2]``; ``full`` stays a word."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part == FULL or part.isdecimal() for part in parts):
        raise InputError(f"--folds {text}: numbers separated by commas, or 'full'")
    return [part if part == FULL else int(part) for part in parts]


def parse_seeds(text: str | None) -> list[int]:
    """``"42,1"`` to ``[42, 1]``."""
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--seeds {text}: numbers separated by commas")
    return [int(part) for part in dict.fromkeys(parts)]


def add_pairs(parser: argparse.ArgumentParser) -> None:
    """``--seeds`` and ``--folds`` of commands that train several variants."""
    parser.add_argument("--seeds", help="e.g. 42,1,2 (default: the experiment's)")
    parser.add_argument("--folds", help="e.g. 0,1 (default: all)")


def pairs_from(given: argparse.Namespace, experiment: Experiment) -> list[tuple[int, int]]:
    """The pairs of seed and fold of ``--seeds`` and ``--folds``."""
    folds = parse_folds(given.folds) or list(experiment.folds.names)
    if FULL in folds:
        raise InputError("--folds full: without held-out rows there is nothing to compare")
    seeds = parse_seeds(given.seeds) or [experiment.seed]
    return [(seed, fold) for seed in seeds for fold in folds]


def train_variants(
    given: argparse.Namespace,
    experiment: Experiment,
    variants: dict[str, list[str]],
    pairs: list[tuple[int, int]],
    name_of: Callable[[str, int], str],
) -> None:
    """Train every variant on every pair of seed and fold; what is finished is kept.

    The folds are those of the experiment's own seed throughout, and each training is a process of
    its own: the scripts beside the one that runs.

    Args:
        given: the command's ``--config``, ``--set`` and ``--rows``.
        experiment: which they name.
        variants: name to the ``key=value`` that make it.
        pairs: seed and fold.
        name_of: the experiment's name of a variant and a seed.
    """
    for changes in variants.values():  # a key that does not exist is told before hours of training
        load_experiment(given.config, [*given.set, *changes])
    split = experiment.folds.seed if experiment.folds.seed is not None else experiment.seed
    print(f"{len(variants)} variants, {len(pairs)} pairs of seed and fold: "
          f"{len(variants) * len(pairs)} trainings", flush=True)  # fmt: skip
    for seed in dict.fromkeys(seed for seed, _ in pairs):
        folds = [fold for other, fold in pairs if other == seed]
        for variant, changes in variants.items():
            settings = [*given.set, *changes, f"seed={seed}", f"folds.seed={split}"]
            settings += [f"name={name_of(variant, seed)}"]
            settings += [f"data.rows={given.rows}"] if given.rows else []
            _script("make_folds", given.config, settings)
            for fold in folds:
                _script("train", given.config, settings, "--fold", str(fold), "--resume")


def _script(name: str, config: str, settings: list[str], *options: str) -> None:
    scripts = Path(sys.argv[0]).resolve().parent
    common = ["--config", config, *(part for setting in settings for part in ("--set", setting))]
    command = [sys.executable, str(scripts / f"{name}.py"), *common, *options]
    if code := wait_for(subprocess.Popen(command)):
        sys.exit(code)


def wait_for(child: subprocess.Popen) -> int:
    """The child's exit code; a signal gives it the time to save.

    Ctrl-C reaches the child from the terminal as well; SIGTERM is passed on.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, before)


def run(main: Callable[[], None]) -> None:
    """Call ``main``; an :class:`InputError` becomes one line on stderr and exit code 2."""
    try:
        main()
    except InputError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
