"""A competition whose columns suit a task of each kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import make_frame


@pytest.fixture
def competition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with ``train.csv``: binary labels, a mood of three classes, a score."""
    monkeypatch.chdir(tmp_path)
    frame = make_frame(150)
    random = np.random.default_rng(7)
    frame["mood"] = random.choice(["bad", "fine", "good"], size=150)
    frame["score"] = random.normal(size=150)
    frame.to_csv("train.csv", index=False)
    return tmp_path
