"""The reader of a run folder, which may be somebody else's, runs only with ``--trust-reader``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from auxfold.cli.experiment_options import experiment_arguments
from auxfold.cli.train import parse_args
from auxfold.config.experiment import load_experiment, to_toml
from auxfold.data.loading import read_prediction_table
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from commands import call_main
from conftest import make_experiment, make_frame
from fake_runs import write_fake_run

READER = """
from pathlib import Path
import pandas as pd

Path("RAN").touch()

class Reader:
    def read(self, path):
        Path("RAN").touch()
        return pd.read_csv(path)
"""
RUN, FOLD = ("--run", "mine"), ("--config", "outputs/mine/fold_0/experiment.toml")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The runs ``mine`` and ``other``, and ``e.toml``, which ``mine`` is of."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        make_frame().to_csv("train.csv", index=False)
        Path("some_reader.py").write_text(READER)
        for name in ("other", "mine"):
            reader = {"reader": "some_reader:Reader"}
            experiment = make_experiment("train.csv", "b", name=name, data=reader)
            write_fake_run(experiment, noise=2.0, seed=1)
            for path in (f"outputs/{name}/experiment.toml", "e.toml"):
                Path(path).write_text(to_toml(experiment))
    (folder / "RAN").unlink()
    sys.modules.pop("some_reader")
    return folder


@pytest.fixture
def run(project, tmp_path, monkeypatch) -> Iterator[Path]:
    """The file that the reader writes, in a copy of the project."""
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "RAN"
    sys.modules.pop("some_reader", None)


@pytest.mark.parametrize("origin", [RUN, FOLD])
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("make_folds", []),
        ("train", ["--fold", "0", "--overwrite"]),
        ("train", ["--fold", "0", "--dry-run"]),
        ("evaluate", ["--no-baseline"]),
        ("inference", ["--input", "train.csv", "--output", "o.csv"]),
        ("bundle_kaggle", ["--owner", "me", "--competition", "c"]),
        ("compare", ["--variant", "slow", "train.learning_rate=1e-5"]),
        ("ablate", []),
        ("sweep", []),
    ],
)
def test_no_command_runs_the_code_of_a_stored_experiment(run, origin, command, arguments):
    with pytest.raises(InputError, match=r"names Python code, data\.reader = 'some_reader:Reader'"):
        call_main(command, *origin, *arguments)
    assert not run.exists() and "some_reader" not in sys.modules


def test_a_blend_of_runs_does_not_either(run):
    blend = ("blend", "--runs", "mine,other", "--method", "mean", "--draws", "0")
    with pytest.raises(InputError, match="outputs/mine/fold_0/experiment.toml names Python code"):
        call_main(*blend)
    assert not run.exists()
    call_main(*blend, "--trust-reader")
    assert run.exists()


@pytest.mark.parametrize("origin", [("--config", "e.toml"), (*RUN, "--trust-reader")])
def test_ones_own_file_and_the_option_run_it(run, origin):
    call_main("make_folds", *origin)
    assert run.exists()


def test_the_option_is_passed_on_to_other_commands(run):
    for options in ([*RUN, "--trust-reader"], [*FOLD, "--trust-reader"]):
        args = parse_args([*options, "--fold", "0"])
        call_main("make_folds", *experiment_arguments(args, ["folds.seed=3"]), "--overwrite")
        assert run.exists()
        run.unlink()
    args = parse_args([*RUN, "--fold", "0"])
    with pytest.raises(InputError, match="--trust-reader"):
        call_main("make_folds", *experiment_arguments(args, []))


def test_folds_loaded_in_python_need_the_argument(run):
    for source in ("outputs/mine", "outputs/mine/fold_0"):
        ensemble = Ensemble.from_folder(source)
        with pytest.raises(InputError, match="in Python trust_reader=True"):
            read_prediction_table(ensemble.experiment, "train.csv")
        assert not run.exists()
        trusted = Ensemble.from_folder(source, trust_reader=True)
        assert len(read_prediction_table(trusted.experiment, "train.csv")) == 60
        run.unlink()
        sys.modules.pop("some_reader")


def test_folds_of_ones_own_experiment_read_with_its_reader(run):
    ensemble = Ensemble.from_experiment(load_experiment("e.toml"))
    assert len(read_prediction_table(ensemble.experiment, "train.csv")) == 60
    stored = Ensemble.from_experiment(load_experiment("outputs/mine/experiment.toml"))
    with pytest.raises(InputError, match="names Python code"):
        read_prediction_table(stored.experiment, "train.csv")
