"""Files of a run that are damaged: refused by name, rebuilt, or not needed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reliability import damage
from benchmarks.reliability.damage import WAYS, list_files
from benchmarks.reliability.workspace import RUN, digest_outputs


@pytest.mark.parametrize(
    ("name", "way", "outcome"),
    [
        ("fold_0/oof.parquet", "one bit flipped", "refused by name"),
        ("folds.parquet", "truncated", "refused by name"),
        ("data_summary.json", "one bit flipped", "refused by name"),
        ("table/rows.arrow", "one bit flipped", "rebuilt or not needed"),
    ],
)
def test_a_damaged_file_changes_no_score(reference, tmp_path, name, way, outcome):
    work = tmp_path / "work"
    shutil.copytree(reference.parent / "done", work)
    WAYS[way](work / RUN / name, work / RUN / name, np.random.default_rng(0))
    assert damage._judge(reference, "evaluate", work, Path(name)) == (outcome, None)


def test_a_changed_weight_is_not_predicted_with(reference, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(reference.parent / "done", work)
    path = work / RUN / "fold_0" / "model.safetensors"
    WAYS["one bit flipped"](path, path, np.random.default_rng(0))
    assert damage._judge(reference, "inference", work, path) == ("refused by name", None)


def test_a_damaged_file_can_be_compared(reference, tmp_path):
    shutil.copytree(reference.parent / "done", tmp_path / "work")
    for path in (tmp_path / "work" / RUN).rglob("*.*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:30])
    digests = digest_outputs(tmp_path / "work")
    expected = reference.digests["inference"]
    assert {name for name in expected if digests[name] == expected[name]} == {"report.html"}


def test_every_file_is_damaged(reference):
    names = {path.name for path in list_files(reference.parent / "done", "finished")}
    assert {"model.safetensors", "run.json", "folds.parquet", "oof.parquet", "tokenizer.json",
            "checksums.json", "rows.arrow", "submission.csv"} <= names  # fmt: skip
