"""The undisturbed run that every proof compares with."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability.workspace import Reference, run_reference


@pytest.fixture(scope="session")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backbones")


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, backbones: Path) -> Reference:
    return run_reference(tmp_path_factory.mktemp("reference"), 0, 40, backbones)
