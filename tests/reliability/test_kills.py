"""A SIGKILL at a random moment of every stage; ``python -m benchmarks reliability`` has more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reliability import kills
from benchmarks.reliability.kills import STAGES, count_operations
from benchmarks.reliability.workspace import RUN


@pytest.mark.parametrize("name", ["checkpoint", "finish", "folds", "out of fold"])
def test_a_command_that_was_killed_gives_what_it_would_have_given(reference, tmp_path, name):
    assert count_operations(reference, STAGES[name]) > 1, "the stage is not empty"
    random = np.random.default_rng(len(name))
    outcome, fault = kills._kill(reference, tmp_path / "work", STAGES[name], random)
    assert fault is None and outcome == "killed, then as undisturbed"


def test_the_proof_notices_other_results(reference, tmp_path: Path):
    """It compares with the undisturbed run, file by file."""
    folder = tmp_path / "work"
    reference.copy_before("train 1", folder)
    assert reference.find_differences("train 0", folder) == []
    path = folder / RUN / "fold_0" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    (folder / RUN / ".auxfold-x").mkdir()
    differences = reference.find_differences("train 0", folder)
    assert differences == ["fold_0/model.safetensors", "leftover .auxfold-x"]
    missing = replace(reference, digests={"train 0": {"fold_1/oof.parquet": "0"}})
    assert "fold_1/oof.parquet" in missing.find_differences("train 0", folder)
