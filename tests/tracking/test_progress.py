"""Without a terminal, progress is lines with the speed and the time that is left."""

from __future__ import annotations

import pytest

from auxfold.tracking import progress
from auxfold.tracking.progress import Display


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(420, "predict  20 rows/s  42%, 29 s left\n"), (8, "predict  0.4 rows/s  1%, 2604 s left\n")],
)
def test_a_slow_run_has_a_speed_too(monkeypatch, capsys, rows, expected):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    bar = Display("predict", 1000)
    now[0] += 21
    bar.advance(rows)
    assert capsys.readouterr().out == expected
