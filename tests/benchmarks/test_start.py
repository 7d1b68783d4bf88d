"""Starts: the processes that are timed, and how a command is stopped after its first step."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from auxfold.errors import InputError
from auxfold.training.fold_trainer import FoldTrainer
from benchmarks import first_step, start


def test_seconds_of_processes_become_parts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    seconds = {"train": 2.0, "trainer": 6.0, "predict": 3.0, "pipeline": 1.5}
    monkeypatch.setattr(start, "run_probe", lambda name, backbone: seconds[name])
    monkeypatch.setattr(start, "prepare", lambda backbone, n_rows, seed: None)
    start.main(["--backbone", "tiny", "--repetitions", "1", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["ratios"] == {
        "auxfold train, to the first step": 3.0,
        "auxfold.load, to the first prediction": 0.5,
    }


def test_a_probe_that_fails_is_refused_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="benchmarks start: nothing failed: KeyError: 'nothing'"):
        start.run_probe("nothing", "backbone")


def test_training_is_stopped_after_the_step(monkeypatch):
    done: list[str] = []

    class Trainer:
        def take_step(self, indices):
            done.append(f"step {indices}")

    def stop() -> None:
        done.append("stop")

    monkeypatch.setattr(first_step, "stop", stop)
    module = SimpleNamespace(FoldTrainer=Trainer)
    first_step.end_after_first_step(module)
    Trainer().take_step(3)
    assert done == ["step 3", "stop"]
    assert callable(FoldTrainer.take_step), "which is what is changed"


def test_a_module_is_changed_as_soon_as_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "some_module.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    first_step.after_import("some_module", lambda module: setattr(module, "value", 2))
    assert "some_module" not in sys.modules
    import some_module

    assert some_module.value == 2
