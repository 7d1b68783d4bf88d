"""What the tests of benchmarks need."""

from __future__ import annotations

import pytest
import transformers.trainer


@pytest.fixture(autouse=True)
def _no_package_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder ``tests/datasets`` looks like the package ``datasets`` to the Trainer."""
    monkeypatch.setattr(transformers.trainer, "is_datasets_available", lambda: False)
