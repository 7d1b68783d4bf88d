"""What every command shares: its parser and common options."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any, NoReturn

from auxfold.cli.commands import as_called, program_name
from auxfold.errors import InputError
from auxfold.storage.run_folder import FULL


def make_parser(
    command: str, description: str | None, examples: str = "", epilog: str = ""
) -> argparse.ArgumentParser:
    """An argument parser whose help ends with examples.

    Args:
        command: as in ``auxfold <command>``.
        description: what the command does.
        examples: command lines, each of them ``auxfold <command> …``.
        epilog: what the help says before the examples.
    """
    return argparse.ArgumentParser(
        prog=program_name(command),
        description=description,
        epilog=f"{epilog}examples:\n{as_called(examples)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_other_names(parser: argparse.ArgumentParser, table: str) -> None:
    """``--rename`` and ``--without-ids``, for a table whose columns have other names."""
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


def parse_renames(options: list[str]) -> dict[str, str]:
    """``["text=comment_text"]`` as old to new name."""
    pairs = [text.partition("=") for text in options]
    for old, equals, new in pairs:
        if not (old and equals and new):
            raise InputError(f"--rename {old}{equals}{new}: expected OLD=NEW")
    return {old: new for old, _, new in pairs}


def add_target_precision(parser: argparse._ActionsContainer) -> None:
    """``--target-precision``, of commands that tune thresholds out of fold."""
    parser.add_argument(
        "--target-precision",
        type=float,
        action="append",
        metavar="P",
        help="tune thresholds for this precision too, e.g. 0.9; repeatable",
    )
    add_renamed_option(parser, "--precision", "--target-precision")


def check_target_precisions(options: list[float] | None) -> list[float]:
    """Each target precision once, refused where no share of rows can reach it."""
    for target in options or []:
        if not 0 < target <= 1:
            raise InputError(f"--target-precision {target:g}: a number above 0 and up to 1")
    return list(dict.fromkeys(options or []))


def add_renamed_option(parser: argparse._ActionsContainer, old: str, new: str) -> None:
    """Refuse an option's old name with one line that gives the new name."""

    class Refuse(argparse.Action):
        def __call__(self, *_: Any) -> NoReturn:
            raise InputError(f"{old} is now called {new}")

    parser.add_argument(old, action=Refuse, nargs="?", help=argparse.SUPPRESS)


def refuse(args: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """Refuse options that have no effect but were given, with the value 0 too."""
    for name in names:
        value = getattr(args, name)
        if value is not None and value is not False and value != []:
            raise InputError(f"--{name.replace('_', '-')} {why}")


def refuse_with_blend(args: argparse.Namespace, names: Iterable[str]) -> None:
    """Refuse options that name an experiment, or have no meaning, together with ``--blend``."""
    refuse(args, names, "has no effect with --blend")
    why = "has no effect with --blend: the runs' own experiments hold"
    refuse(args, ("config", "run"), why)


def parse_list(text: str) -> list[str]:
    """``"a,b"`` to ``["a", "b"]``."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_folds(text: str | None) -> list[int | str] | None:
    """``"0,2"`` to ``[0, 2]``; ``full`` stays a word."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part == FULL or part.isdecimal() for part in parts):
        raise InputError(f"--folds {text}: numbers separated by commas, or 'full'")
    return [part if part == FULL else int(part) for part in parts]
