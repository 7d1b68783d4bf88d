"""``train --fold all`` trains each fold in a process of its own, with the same experiment."""

from __future__ import annotations

from pathlib import Path

import pytest

from auxfold.cli import train
from auxfold.cli.experiment_options import ANNOUNCED
from auxfold.config.experiment import load_experiment, to_toml
from auxfold.errors import InputError
from auxfold.storage.atomic import write_text
from auxfold.storage.lock import FoldLock
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import RunFolder
from auxfold.training.split import create_folds
from conftest import make_experiment


@pytest.fixture
def experiment(work_dir):
    experiment = make_experiment("train.csv", "b")
    (work_dir / "e.toml").write_text(to_toml(experiment))
    create_folds(experiment)
    return experiment


@pytest.fixture
def calls(monkeypatch) -> list:
    calls: list = []
    monkeypatch.setattr(
        train, "call_command", lambda *line, environment: calls.append((line, environment))
    )
    return calls


def test_every_fold_gets_the_experiment_and_the_flags(experiment, calls, capsys):
    train.main(["--config", "e.toml", "--fold=all", "--set", "train.epochs=3", "--resume"])
    options = ("--config", "e.toml", "--set", "train.epochs=3", "--resume", "--fold")
    lines = [line for line, _ in calls]
    assert lines == [("train", *options, "0"), ("train", *options, "1")]
    assert all(environment[ANNOUNCED] for _, environment in calls), "said once, by this process"
    assert capsys.readouterr().out == "experiment tiny (e.toml)\n"


def test_a_trial_and_a_run_are_passed_on(experiment, calls):
    create_folds(make_experiment("train.csv", "b", name="tiny_rows40",
                                 data={"train": "train.csv", "rows": 40}))  # fmt: skip
    train.main(["--config", "e.toml", "--fold", "all", "--rows", "40", "--overwrite"])
    assert calls[0][0] == ("train", "--config", "e.toml", "--rows", "40", "--overwrite",
                           "--fold", "0")  # fmt: skip
    Path("outputs/tiny/experiment.toml").write_text(to_toml(experiment))
    train.main(["--run", "tiny", "--fold", "all"])
    assert calls[-1][0] == ("train", "--config", "outputs/tiny/experiment.toml", "--fold", "1")


def test_what_is_there_already_is_refused_before_a_process_starts(experiment, calls):
    Path("outputs/tiny/fold_0").mkdir()
    with pytest.raises(InputError, match="outputs/tiny/fold_0 exists; give --overwrite"):
        train.main(["--config", "e.toml", "--fold", "all"])
    with pytest.raises(InputError, match="no outputs/new/folds.parquet"):
        train.main(["--config", "e.toml", "--fold", "all", "--set", "name=new"])
    assert calls == []


def test_a_fold_that_is_being_trained_is_refused_before_anything_else(experiment, calls):
    fold = RunFolder.of(experiment).fold(0)
    fold.working.mkdir()
    with FoldLock(fold):
        for options in ([], ["--resume"], ["--overwrite"]):
            with pytest.raises(InputError, match="fold_0 is being trained by process"):
                train.main(["--config", "e.toml", "--fold", "all", *options])
    assert calls == []


def finish(experiment, fold: int) -> None:
    folder = RunFolder.of(experiment).fold(fold)
    write_text(folder.experiment, to_toml(experiment))
    write_record(folder.run, {"data_fingerprint": "rows"})


def test_what_is_trained_is_stored_for_later_commands_and_a_change_is_said(
    experiment, calls, capsys
):
    stored = RunFolder.of(experiment).experiment
    train.main(["--config", "e.toml", "--fold", "all"])
    assert load_experiment(stored) == experiment
    assert capsys.readouterr().out == "experiment tiny (e.toml)\n"
    train.main(["--config", "e.toml", "--fold", "all", "--set", "train.epochs=7"])
    assert load_experiment(stored).train.epochs == 7
    assert capsys.readouterr().out.splitlines()[1] == (
        "note: outputs/tiny/experiment.toml had train.epochs = 2, you gave 7; "
        "it has the new settings now"
    )
    train.main(["--run", "tiny", "--fold", "all"])
    assert len(capsys.readouterr().out.splitlines()) == 1, "nothing differs"


def test_a_fold_next_to_folds_of_other_settings_is_refused(experiment, calls, capsys):
    finish(experiment, 0)
    line = ["--config", "e.toml", "--fold", "all", "--set", "train.epochs=7"]
    with pytest.raises(InputError, match="fold_0 was trained with train.epochs = 2, you gave 7"):
        train.main([*line, "--resume"])
    assert calls == []
    train.main([*line, "--overwrite"])
    assert len(calls) == 2, "every fold is trained again"
    finish(experiment, 1)
    train.check_other_folds(load_experiment("e.toml", ["train.epochs=7"]), [0], overwrite=True)
    output = capsys.readouterr().out
    assert "note: outputs/tiny/fold_1 was trained with train.epochs = 2, you gave 7" in output


def test_other_folds_are_refused_before_the_number_of_a_fold(experiment, calls):
    for options in (["--fold", "4", "--set", "folds.n_splits=5"], ["--fold", "all", "--set",
                    "folds.n_splits=5"]):  # fmt: skip
        with pytest.raises(InputError, match="made with folds.n_splits = 2, you gave 5"):
            train.main(["--config", "e.toml", *options])
    with pytest.raises(InputError, match="folds are 0 to 1"):
        train.main(["--config", "e.toml", "--fold", "4"])
