"""Files are written whole or not at all."""

from __future__ import annotations

import pandas as pd
import pytest

from auxfold.storage.atomic import atomic_write, write_frame, write_json


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "scores.csv"
    write_frame(path, pd.DataFrame({"id": [1]}))
    before = path.read_bytes()

    def write_half(temporary):
        temporary.write_text("id\n1")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, write_half)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"], "nothing half-written stays"


def test_json_holds_no_nan(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "m.json", {"auc": float("nan")})
    assert list(tmp_path.iterdir()) == []
