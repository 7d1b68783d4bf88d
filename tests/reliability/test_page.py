"""The table keeps a line per proof: of the last time that it ran."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from auxfold.errors import InputError
from benchmarks.reliability.page import END, HEADER, START, write_table
from benchmarks.reliability.workspace import Result


def make_record(date: str, *results: Result) -> dict:
    return {
        "date": date, "device": "2 cores", "command": "reliability",
        "results": [asdict(result) for result in results],
    }  # fmt: skip


def test_a_proof_replaces_only_its_own_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}\nNot run yet.\n\n{END}after\n")
    kills = Result("kills", 2, ["a file is torn"], {"training: as undisturbed": 2}, minutes=3.2)
    tables = Result("tables", 1200, [], {"read exactly": 1200}, {"memory_mb": 2.25}, minutes=1.0)
    write_table(page, make_record("2026-01-01", kills, tables))
    first = page.read_text()
    line = "| kills | 2 | 2 as undisturbed | 1 | 2026-01-01, 2 cores, 3 minutes: `reliability` |\n"
    rest = (
        "| tables | 1,200 | 1,200 read exactly; memory_mb 2.2 | 0 "
        "| 2026-01-01, 2 cores, 1 minutes: `reliability` |\n"
    )
    assert first == f"before\n{START}\n{HEADER}{line}{rest}\n{END}after\n"
    write_table(page, make_record("2026-01-02", Result("kills", 4, minutes=5.0)))
    again = "| kills | 4 |  | 0 | 2026-01-02, 2 cores, 5 minutes: `reliability` |\n"
    assert page.read_text() == first.replace(line, again)


def test_a_page_without_a_place(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n")
    with pytest.raises(InputError, match="has no lines"):
        write_table(page, make_record("2026-01-01"))
    assert page.read_text() == "text\n"
