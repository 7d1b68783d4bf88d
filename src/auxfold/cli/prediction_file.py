"""The file that commands write predictions to, on request safe to open in a spreadsheet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from auxfold.errors import InputError
from auxfold.storage.atomic import write_frame

if TYPE_CHECKING:
    import pandas as pd


def add_spreadsheet_safe(parser: argparse._ActionsContainer) -> None:
    """``--spreadsheet-safe``, of commands that write a CSV."""
    parser.add_argument(
        "--spreadsheet-safe",
        action="store_true",
        help="put ' in front of ids, classes and column names that begin with =, +, - or @, which "
        "a spreadsheet would compute",
    )


def check_spreadsheet_safe(
    args: argparse.Namespace, output: str | Path | None, is_submission: bool = False
) -> None:
    """Refuse ``--spreadsheet-safe`` where the file must be another one.

    Raises:
        InputError: the file is no CSV, or a submission, whose ids must stay as they are.
    """
    if not args.spreadsheet_safe:
        return
    if output is not None and Path(output).suffix != ".csv":
        raise InputError(f"--spreadsheet-safe is for .csv files; --output {output} is none")
    if is_submission:
        raise InputError(
            "--spreadsheet-safe changes ids, and a submission needs those of "
            "data.sample_submission; leave it out, or give the rows with --input"
        )


def write_predictions(args: argparse.Namespace, output: Path, frame: pd.DataFrame) -> None:
    """Write a prediction file; with ``--spreadsheet-safe`` say what was changed in it."""
    if not args.spreadsheet_safe:
        write_frame(output, frame)
        return
    from auxfold.storage.spreadsheet_csv import write_spreadsheet_csv

    n_guarded = write_spreadsheet_csv(output, frame)
    print(f"--spreadsheet-safe: {n_guarded:,} texts begin like a formula and have a ' in front")
