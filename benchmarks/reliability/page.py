"""The table of the page on reliability."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from auxfold.errors import InputError

PAGE = Path("docs/results/reliability.md")
HEADER = "| what was tried | cases | ended | faults |\n| --- | --- | --- | --- |\n"
START, END = "<!-- proofs -->\n", "<!-- end of proofs -->\n"


def write_table(page: Path, record: dict[str, Any]) -> None:
    """Put the results of a record into the page, in place of those before.

    Raises:
        InputError: the page has no place for them.
    """
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(START)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise InputError(f"{page} has no lines {START.strip()!r} and {END.strip()!r}")
    block = f"{START}\n{format_table(record)}\n{END}"
    page.write_text(pattern.sub(lambda match: block, text), encoding="utf-8")


def format_table(record: dict[str, Any]) -> str:
    """Date, machine and command, then a line per proof."""
    rows = "".join(_format_row(result) for result in record["results"])
    return (
        f"{record['date']}, {record['device']}, {record['case']['minutes']:.0f} minutes: "
        f"`{record['command']}`\n\n{HEADER}{rows}"
    )


def _format_row(result: dict[str, Any]) -> str:
    outcomes: dict[str, int] = {}
    for name, count in result["outcomes"].items():
        ending = name.rpartition(": ")[2]
        outcomes[ending] = outcomes.get(ending, 0) + count
    ended = "; ".join(f"{count:,} {name}" for name, count in outcomes.items())
    facts = "; ".join(f"{name} {_format(value)}" for name, value in result["facts"].items())
    cells = [result["proof"], f"{result['cases']:,}", "; ".join(filter(None, (ended, facts)))]
    return f"| {' | '.join([*cells, str(len(result['faults']))])} |\n"


def _format(value: object) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else str(value)
