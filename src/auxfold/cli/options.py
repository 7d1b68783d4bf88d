"""What every command shares: ``--config``, ``--set``, and errors written for a person."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable

from auxfold.config.experiment import Experiment, load_experiment
from auxfold.errors import InputError
from auxfold.storage.run_folder import FULL

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


def refuse(given: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """Refuse options that were given, a 0 too, where they have no effect."""
    for name in names:
        value = getattr(given, name)
        if value is not None and value is not False and value != []:
            raise InputError(f"--{name.replace('_', '-')} {why}")


def refuse_with_blend(given: argparse.Namespace, names: Iterable[str]) -> None:
    """Refuse options that name an experiment, or have no meaning, beside ``--blend``."""
    refuse(given, names, "has no effect with --blend")
    if any(part.split("=")[0] == "--config" for part in sys.argv[1:]):  # the default one, too
        raise InputError("--config has no effect with --blend: the runs' own experiments hold")


def parse_folds(text: str | None) -> list[int | str] | None:
    """``"0,2"`` to ``[0, 2]``; ``full`` stays a word."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part == FULL or part.isdecimal() for part in parts):
        raise InputError(f"--folds {text}: numbers separated by commas, or 'full'")
    return [part if part == FULL else int(part) for part in parts]


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
