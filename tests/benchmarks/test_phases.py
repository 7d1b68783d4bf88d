"""What a benchmark is doing: lines on stderr, and the seconds of every phase."""

from __future__ import annotations

import pytest

from benchmarks.phases import phase_seconds, start_phase


def test_phases_are_lines_on_stderr(capsys):
    start_phase("texts")
    start_phase("model and trial")
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 2
    assert list(phase_seconds(output.err, end=1e6)) == ["texts", "model and trial"]


def test_a_phase_lasts_until_the_next_one_or_the_end():
    lines = ["[  0.5 s] texts", "a warning", "[ 12.0 s] turns", "[ 13.0 s] texts", "an error"]
    phases = phase_seconds("\n".join(lines), end=20)
    assert phases == pytest.approx({"texts": 18.5, "turns": 1.0})
    assert phase_seconds("an error", end=20) == {}
