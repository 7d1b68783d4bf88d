"""``make-folds`` stores the experiment next to its folds, for ``--run``."""

from __future__ import annotations

from pathlib import Path

from auxfold.cli import make_folds
from auxfold.config.experiment import load_experiment, to_toml
from auxfold.data import table_store
from auxfold.storage.atomic import write_text
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import RunFolder
from commands import run_command
from conftest import make_experiment


def test_the_experiment_is_stored_and_can_be_run_by_name(work_dir, monkeypatch):
    monkeypatch.setattr(table_store, "RECENT", 0)  # the table is stored at once
    Path("e.toml").write_text(to_toml(make_experiment("train.csv", "b")))
    make_folds.main(["--config", "e.toml", "--set", "train.epochs=7"])
    stored = Path("outputs/tiny/experiment.toml")
    assert load_experiment(stored) == load_experiment("e.toml", ["train.epochs=7"])
    Path("e.toml").unlink()
    output = run_command("make-folds", "--run", "tiny", cwd=work_dir, is_module=True)
    lines = output.splitlines()
    assert lines[:2] == ["experiment tiny (outputs/tiny/experiment.toml)", "60 rows of train.csv"]
    assert lines[2].split()[:2] == ["fold", "rows"] and lines[3].split()[:2] == ["0", "30"]
    assert lines[-1] == "folds: outputs/tiny/folds.parquet"
    assert load_experiment(stored).train.epochs == 7
    assert sorted(path.name for path in stored.parent.iterdir()) == [
        "checksums.json", "data_summary.json", "experiment.toml", "folds.json", "folds.parquet",
        "table",
    ]  # fmt: skip


def test_the_experiment_that_folds_are_trained_with_stays_stored(work_dir, capsys):
    Path("e.toml").write_text(to_toml(make_experiment("train.csv", "b")))
    make_folds.main(["--config", "e.toml"])
    folder = RunFolder.named("tiny")
    write_text(folder.fold(0).experiment, to_toml(make_experiment("train.csv", "b")))
    write_record(folder.fold(0).run, {"data_fingerprint": "rows"})
    capsys.readouterr()
    make_folds.main(["--config", "e.toml", "--set", "train.epochs=7"])
    assert load_experiment(folder.experiment).train.epochs == 2
    assert (
        "note: folds are trained with train.epochs = 2, you gave 7; "
        "outputs/tiny/experiment.toml stays as it is\n" in capsys.readouterr().out
    )
    make_folds.main(["--config", "e.toml", "--set", "train.epochs=7", "--overwrite"])
    assert load_experiment(folder.experiment).train.epochs == 7
