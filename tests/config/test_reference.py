"""The stored reference page and JSON schema are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from auxfold.config import reference

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "text"),
    [(reference.PAGE, reference.reference_page()), (reference.SCHEMA, reference.schema_text())],
    ids=str,
)
def test_the_stored_reference_is_current(path, text):
    assert (ROOT / path).read_text(encoding="utf-8") == text, (
        f"{path} is stale; run: python -m auxfold.config.reference"
    )


def test_the_page_and_the_schema_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="there is no configs/ here"):
        reference.main()
    Path("configs").mkdir()
    reference.main()
    assert reference.PAGE.read_text() == reference.reference_page()
    assert reference.SCHEMA.read_text() == reference.schema_text()


def test_every_row_of_the_page_has_four_cells():
    rows = [line for line in reference.reference_page().splitlines() if line.startswith("|")]
    assert len(rows) > 80 and all(row.count("|") == 5 for row in rows)
