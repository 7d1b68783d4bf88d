"""The table of the page on reliability."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from auxfold.errors import InputError

PAGE = Path("docs/results/reliability.md")
COLUMNS = ("what was tried", "cases", "ended", "faults", "when and where")
HEADER = f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n"
START, END = "<!-- proofs -->\n", "<!-- end of proofs -->\n"


def write_table(page: Path, record: dict[str, Any]) -> None:
    """Put the results of a record into the page, in place of earlier ones of the same proofs.

    Raises:
        InputError: the page has no place for them.
    """
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(START)}(.*?){re.escape(END)}", re.DOTALL)
    block = pattern.search(text)
    if block is None:
        raise InputError(f"{page} has no lines {START.strip()!r} and {END.strip()!r}")
    rows = block[1].partition(HEADER)[2].splitlines()
    table = _join_rows({**_rows_by_proof(rows), **_format_rows(record)})
    block_text = f"{START}\n{table}\n{END}"
    page.write_text(pattern.sub(lambda match: block_text, text), encoding="utf-8")


def format_table(record: dict[str, Any]) -> str:
    """A line per proof, with its date, machine and command."""
    return _join_rows(_format_rows(record))


def _join_rows(rows: dict[str, str]) -> str:
    return HEADER + "".join(f"{row}\n" for row in rows.values())


def _rows_by_proof(lines: list[str]) -> dict[str, str]:
    """The first cell of each line of a table to the line."""
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("|")}


def _format_rows(record: dict[str, Any]) -> dict[str, str]:
    return _rows_by_proof([_format_row(result, record) for result in record["results"]])


def _format_row(result: dict[str, Any], record: dict[str, Any]) -> str:
    outcomes: dict[str, int] = {}
    for name, count in result["outcomes"].items():
        ending = name.rpartition(": ")[2]
        outcomes[ending] = outcomes.get(ending, 0) + count
    ended = "; ".join(f"{count:,} {name}" for name, count in outcomes.items())
    facts = "; ".join(f"{name} {_format(value)}" for name, value in result["facts"].items())
    cells = [
        result["proof"],
        f"{result['cases']:,}",
        "; ".join(filter(None, (ended, facts))),
        str(len(result["faults"])),
        f"{record['date']}, {record['device']}, {result['minutes']:.0f} minutes: "
        f"`{record['command']}`",
    ]
    return f"| {' | '.join(cells)} |"


def _format(value: object) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else str(value)
