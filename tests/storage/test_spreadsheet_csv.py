"""No text of the file is a formula; numbers stay numbers, and every text can be read back."""

from __future__ import annotations

import csv

import pandas as pd
import pytest

from auxfold.storage.spreadsheet_csv import FORMULA_STARTS, write_spreadsheet_csv


def test_texts_and_names_are_guarded_and_numbers_are_not(tmp_path):
    frame = pd.DataFrame(
        {
            "id": ['=HYPERLINK("http://x";"y")', "+1", "-5", "@SUM(A1)", "a=b", "", "\t=1", None],
            "-share": [-0.5, 0.25, 1e-9, 0.0, 0.1, 0.2, 0.3, float("nan")],
            "class": ["ok;=1+1", "'quoted", "＝1", "x", "x", "x", "x", "x"],
            "number": range(8),
        }
    )
    path = tmp_path / "out.csv"
    assert write_spreadsheet_csv(path, frame) == 5 + 1 + 1
    lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines(keepends=True)))
    assert lines[0] == ["id", "'-share", "class", "number"]
    assert [line[0] for line in lines[1:]] == [
        '\'=HYPERLINK("http://x";"y")', "'+1", "'-5", "'@SUM(A1)", "a=b", "", "'\t=1", "",
    ]  # fmt: skip
    assert [line[1] for line in lines[1:]] == ["-0.5", "0.25", "1e-09", "0.0", "0.1", "0.2", "0.3",
                                               ""]  # fmt: skip
    assert [line[2] for line in lines[1:4]] == ["ok;=1+1", "'quoted", "'＝1"]
    assert '"ok;=1+1"' in path.read_text(encoding="utf-8"), "no other separator divides it"


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_no_cell_begins_like_a_formula(tmp_path, start):
    path = tmp_path / "out.csv"
    assert write_spreadsheet_csv(path, pd.DataFrame({f"{start}c": [f"{start}1"]})) == 2
    cells = [cell for row in csv.reader(path.open(encoding="utf-8", newline="")) for cell in row]
    assert cells == [f"'{start}c", f"'{start}1"]
