"""CSV files that a spreadsheet program opens without computing what is in their texts.

A cell that begins with one of a few characters is a formula to Excel, LibreOffice and Google
Sheets, and a formula can open addresses and start programs (CSV injection, OWASP).
"""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from auxfold.storage.atomic import atomic_write

# The full-width ones count in East Asian versions of Excel.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write_spreadsheet_csv(path: Path, frame: pd.DataFrame) -> int:
    """Write a table as a CSV atomically, with ``'`` in front of texts that begin like a formula.

    Every text is quoted, so that a spreadsheet that divides cells at ``;`` finds none in a text.
    Numbers, negative ones too, stay as they are.

    Returns:
        How many texts, names of columns included, have a ``'`` in front.
    """
    n_guarded = sum(is_formula(name) for name in frame.columns)
    columns = []
    for _, column in frame.items():
        guarded = column.map(is_formula)
        n_guarded += int(guarded.sum())
        columns.append(column.map(guard) if guarded.any() else column)
    safe = pd.concat(columns, axis=1).set_axis([guard(name) for name in frame.columns], axis=1)
    atomic_write(
        path,
        lambda p: safe.to_csv(
            p, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
        ),
    )  # fmt: skip
    return n_guarded


def is_formula(value: object) -> bool:
    """Whether a value is a text that a spreadsheet program would compute."""
    return isinstance(value, str) and value.startswith(FORMULA_STARTS)


def guard(value: object) -> object:
    """A value, with ``'`` in front where it is a text that begins like a formula."""
    return f"'{value}" if is_formula(value) else value
