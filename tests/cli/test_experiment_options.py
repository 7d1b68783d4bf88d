"""Which experiment a command works on, and that its first line says so."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from auxfold.cli import experiment_options
from auxfold.cli.experiment_options import (
    add_experiment_options,
    experiment_arguments,
    experiment_path,
    print_json,
    read_experiment,
)
from auxfold.config.experiment import load_experiment
from auxfold.errors import InputError
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import RunFolder

EXPERIMENT = """
name = "{name}"
[data]
train = "train.csv"
[model]
backbone = "b"
[train]
epochs = {epochs}
[[tasks]]
name = "main"
kind = "binary"
columns = ["toxic"]
"""


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_experiment_options(parser)
    return parser.parse_args(arguments)


def write(path: str, name: str = "tiny", epochs: int = 2) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(EXPERIMENT.format(name=name, epochs=epochs))


@pytest.fixture(autouse=True)
def empty_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("RANK", experiment_options.ANNOUNCED):
        monkeypatch.delenv(variable, raising=False)


def test_the_first_line_names_the_experiment_and_its_file(capsys):
    write("configs/tiny.toml")
    experiment = read_experiment(parse("--config", "configs/tiny.toml"))
    assert experiment.name == "tiny"
    assert capsys.readouterr().out == "experiment tiny (configs/tiny.toml)\n"


def test_settings_and_rows_change_the_name_that_is_said(capsys):
    write("e.toml")
    args = parse(
        "--config", "e.toml", "--set", "name=other", "--set", "train.epochs=5", "--rows", "9"
    )
    experiment = read_experiment(args)
    assert (experiment.name, experiment.train.epochs, experiment.data.rows) == ("other_rows9", 5, 9)
    assert capsys.readouterr().out == "experiment other_rows9 (e.toml)\n"


def test_with_json_the_line_goes_to_stderr_once_there_is_a_result(capsys):
    write("e.toml")
    args = parse("--config", "e.toml")
    experiment = read_experiment(args, as_json=True)
    assert capsys.readouterr() == ("", ""), "a refusal is the only line"
    print_json(args, experiment, {"auc": 0.5})
    assert capsys.readouterr() == ('{"auc": 0.5}\n', "experiment tiny (e.toml)\n")


def test_one_of_several_processes_says_it(capsys, monkeypatch):
    write("e.toml")
    monkeypatch.setenv("RANK", "1")
    read_experiment(parse("--config", "e.toml"))
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("RANK", "0")
    read_experiment(parse("--config", "e.toml"))
    assert capsys.readouterr().out == "experiment tiny (e.toml)\n"


def test_the_default_is_the_flagship_inside_a_checkout_only(capsys):
    with pytest.raises(InputError, match="which experiment. give --config FILE or --run NAME"):
        read_experiment(parse())
    write("configs/jigsaw_2019.toml", "jigsaw_2019")
    read_experiment(parse())
    line = "experiment jigsaw_2019 (configs/jigsaw_2019.toml, the default)\n"
    assert capsys.readouterr().out == line


def test_a_run_brings_the_experiment_of_its_folds(capsys):
    write("outputs/tiny/experiment.toml", epochs=3)
    write("outputs/tiny/fold_1/experiment.toml", epochs=4)
    write_record(Path("outputs/tiny/fold_1/run.json"), {})
    experiment = read_experiment(parse("--run", "tiny", "--set", "train.batch_size=8"))
    assert (experiment.train.epochs, experiment.train.batch_size) == (3, 8)
    assert capsys.readouterr().out == "experiment tiny (outputs/tiny/experiment.toml)\n"
    assert read_experiment(parse("--run", "outputs/tiny")).train.epochs == 3, "a path is a name too"


def test_a_run_without_it_brings_that_of_its_first_trained_fold(capsys):
    for fold in (0, 1, 2):  # fold 0 is not finished: it has no run.json
        write(f"outputs/tiny/fold_{fold}/experiment.toml", epochs=3 + fold)
    for fold in (1, 2):
        write_record(Path(f"outputs/tiny/fold_{fold}/run.json"), {})
    assert read_experiment(parse("--run", "tiny")).train.epochs == 4
    assert capsys.readouterr().out == "experiment tiny (outputs/tiny/fold_1/experiment.toml)\n"


def test_a_run_that_cannot_be_used_is_refused():
    write("e.toml")
    write("outputs/copy/experiment.toml")
    Path("outputs/empty").mkdir()
    for arguments, message in (
        (["--run", "copie"], "no run 'copie' .did you mean 'copy'.. in outputs"),
        (["--run", "empty"], "outputs/empty has no stored experiment; give --config FILE"),
        (["--run", "copy"], "outputs/copy/experiment.toml is of the run 'tiny', not of 'copy'"),
        (["--run", "copy", "--config", "e.toml"], "--config and --run both name an experiment"),
    ):
        with pytest.raises(InputError, match=message):
            experiment_path(parse(*arguments))


def test_arguments_for_another_command_name_the_same_experiment():
    write("outputs/tiny/experiment.toml")
    args = parse("--run", "tiny", "--set", "train.epochs=7", "--set", "name=tiny")
    arguments = experiment_arguments(args, args.set)
    assert read_experiment(parse(*arguments)) == read_experiment(args)


def test_a_run_folder_knows_where_its_experiment_is():
    write("e.toml")
    experiment = load_experiment("e.toml")
    assert RunFolder.of(experiment).experiment == Path("outputs/tiny/experiment.toml")
