"""The page of speeds: what a run adds, what it replaces and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auxfold.errors import InputError
from benchmarks import table
from benchmarks.speed_table import COLUMNS, add_rows

PAGE = """# Speed

## Training

Words.

Not measured yet.

<!-- other devices: train -->

## End
"""


def make_record(device: str = "H100", backbone: str = "bert", best: float = 6.0) -> dict:
    return {
        "kind": "train",
        "device": device,
        "case": {
            "backbone": backbone, "batch_size": 32, "dropout": "on", "amp_dtype": "bf16",
            "tokens": "50 (at most 220)",
        },
        "ratios": {"trainer_best": best, "floor_share": 0.123},
        "medians": {"auxfold_rows_per_second": 2700.4, "trainer_best_rows_per_second": 450.0},
        "memory_gib": {"auxfold": None},
        "seed": 0,
        "versions": {"torch": "2.11.0", "transformers": "5.17.0"},
        "command": "python -m benchmarks train",
        "date": "2026-01-02",
    }  # fmt: skip


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "speed.md"
    path.write_text(PAGE)
    return path


def rows_of(page: Path) -> list[str]:
    return [line for line in page.read_text().splitlines() if line.startswith("| ")]


def test_the_first_row_of_a_device_gets_a_table(page):
    add_rows(page, [make_record()])
    text = page.read_text()
    assert "Not measured" not in text and "## End" in text
    assert text.index("<!-- train on H100 -->") < text.index("<!-- other devices: train -->")
    header, rule, row = rows_of(page)
    assert header.startswith("| backbone | batch | dropout |") and rule.startswith("| --- |")
    assert row == (
        "| bert | 32 | on | bf16 | 50 (at most 220) | 2,700 | 450 | – | 6.00 | – | 12.3% | – | – | "
        "`python -m benchmarks train` (seed 0; torch 2.11.0, transformers 5.17.0; 2026-01-02) |"
    )


def test_the_same_case_is_replaced_and_everything_else_stays(page):
    add_rows(page, [make_record(), make_record(backbone="roberta"), make_record("CPU", best=2.0)])
    before = page.read_text()
    add_rows(page, [make_record(best=7.0)])
    assert page.read_text() == before.replace("| 6.00 |", "| 7.00 |", 1)
    assert "| 6.00 |" in page.read_text(), "that of the other backbone"
    assert "| 2.00 |" in page.read_text(), "that of the other device"


def test_a_page_without_the_marker_is_refused(tmp_path):
    path = tmp_path / "speed.md"
    path.write_text("# Speed\n")
    with pytest.raises(InputError, match="has no line '<!-- other devices: train -->'"):
        add_rows(path, [make_record()])


def test_a_table_with_other_columns_is_refused(page):
    add_rows(page, [make_record()])
    page.write_text(page.read_text().replace("| backbone |", "| model |"))
    with pytest.raises(InputError, match="the table of train on H100 has other columns"):
        add_rows(page, [make_record()])


def test_the_shipped_page_has_a_marker_for_every_kind(tmp_path):
    text = (Path(__file__).parents[2] / "docs/results/speed.md").read_text()
    for kind in COLUMNS:
        assert f"<!-- other devices: {kind} -->\n" in text


def test_records_become_rows_and_failures_are_skipped(tmp_path, capsys):
    page, results = tmp_path / "speed.md", tmp_path / "gpu.jsonl"
    page.write_text(PAGE)
    lines = [make_record(), {"failed": "train", "error": ["out of memory"]}, make_record("H200")]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    table.main([str(results), "--page", str(page)])
    assert capsys.readouterr().out == f"2 rows written into {page}\n"
    assert "<!-- train on H100 -->" in page.read_text()
    assert "<!-- train on H200 -->" in page.read_text()


def test_a_missing_or_broken_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no file nothing.jsonl"):
        table.main(["nothing.jsonl"])
    path = tmp_path / "broken.jsonl"
    path.write_text("{}\n{\n")
    with pytest.raises(InputError, match="broken.jsonl, line 2 is no JSON object"):
        table.main([str(path)])
