"""A disk that becomes full while a fold is trained and while its report is written."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.errors import InputError
from benchmarks.reliability import disk
from benchmarks.reliability.disk import small_disk


@pytest.mark.parametrize("name", ["checkpoint", "report"])
def test_a_full_disk_is_one_line_and_costs_nothing(reference, tmp_path, name):
    try:
        with small_disk(tmp_path / "disk") as folder:
            random = np.random.default_rng(1)
            outcome, fault = disk._fill(reference, folder / "work", name, random)
    except InputError as error:
        pytest.skip(str(error))
    assert fault is None and outcome == "refused, then as undisturbed"
