"""``python -m benchmarks tfidf``: a baseline's out-of-fold scores on the experiment's folds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from benchmarks import tfidf
from conftest import make_experiment


def test_json_is_one_object_and_the_experiment_is_said_on_stderr(work_dir, capsys):
    Path("e.toml").write_text(to_toml(make_experiment("train.csv", "b")))
    tfidf.main(["--config", "e.toml", "--json"])
    output = capsys.readouterr()
    assert output.err == "experiment tiny (e.toml)\n" and output.out.count("\n") == 1
    scores = json.loads(output.out)
    assert scores["main"] == "main/auc" and 0 <= scores["oof"]["main/auc"] <= 1
    assert len(scores["folds"]) == 2
    tfidf.main(["--config", "e.toml"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "experiment tiny (e.toml)"
    assert any("main/auc" in line for line in lines[1:])


def test_a_missing_file_is_refused(work_dir):
    Path("e.toml").write_text(to_toml(make_experiment("trian.csv", "b")))
    with pytest.raises(InputError, match="no file trian.csv .did you mean 'train.csv'"):
        tfidf.main(["--config", "e.toml"])
