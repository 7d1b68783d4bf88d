"""Code that an experiment names runs only if the experiment is one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from auxfold.config.experiment import Experiment, load_experiment
from auxfold.config.trust import is_in_run_folder
from auxfold.errors import InputError

EXPERIMENT = """
name = "mine"
{section}
[[tasks]]
name = "main"
kind = "binary"
columns = ["toxic"]
"""
READER = '[data]\ntrain = "train.csv"\nreader = "line_reader:Reader"'
REMOTE = '[data]\ntrain = "train.csv"\n[model]\nbackbone = "b"\ntrust_remote_code = true'
NO_CODE = '[data]\ntrain = "train.csv"'


@pytest.fixture(autouse=True)
def empty_dir(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


def write(path: str, section: str = READER) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(EXPERIMENT.format(section=section))
    return path


def write_run(folder: str) -> None:
    """The files by which a run folder with one fold is known."""
    for path in ("experiment.toml", "fold_0/experiment.toml"):
        write(f"{folder}/{path}")
    for record in ("folds.json", "fold_0/run.json"):
        Path(folder, record).write_text("{}")


def runs_code(experiment: Experiment) -> bool:
    try:
        experiment.data.check_code()
        experiment.model.check_code()
    except InputError:
        return False
    return True


def test_ones_own_files_are_trusted():
    write_run("outputs/mine")
    for path in ("e.toml", "configs/e.toml", "experiment.toml", "../e.toml"):
        assert runs_code(load_experiment(write(path)))


@pytest.mark.parametrize(
    "path",
    [
        "outputs/mine/experiment.toml",
        "outputs/mine/fold_0/experiment.toml",
        "outputs/mine/evil.toml",
        "outputs/mine/deeper/folder/evil.toml",
        "outputs/other/experiment.toml",  # a run without folds
        "../downloads/mine/experiment.toml",
        "../downloads/mine/fold_0/experiment.toml",
        "../downloads/mine/fold_0.partial/experiment.toml",
        "../downloads/mine/evil.toml",
        "../downloads/only_a_fold/experiment.toml",
        "../downloads/only_folds/experiment.toml",
    ],
)
def test_files_of_run_folders_are_not(path):
    write_run("outputs/mine")
    write_run("../downloads/mine")
    for name, record in (("only_a_fold", "run.json"), ("only_folds", "folds.json")):
        write(f"../downloads/{name}/experiment.toml")
        Path(f"../downloads/{name}/{record}").write_text("{}")
    write(path)
    assert not runs_code(load_experiment(path))
    assert runs_code(load_experiment(path, trust_reader=True))


def test_links_into_a_run_folder_and_in_one_are_not_trusted():
    write_run("../downloads/mine")
    write("e.toml")
    Path("link.toml").symlink_to("../downloads/mine/experiment.toml")
    Path("outputs/mine").mkdir(parents=True)
    Path("outputs/mine/experiment.toml").symlink_to("../../e.toml")
    for path in ("link.toml", "outputs/mine/experiment.toml"):
        assert is_in_run_folder(Path(path))
        assert not runs_code(load_experiment(path))


def test_the_refusal_names_the_file_the_code_and_what_to_do():
    for section, code, key in (
        (READER, "data.reader = 'line_reader:Reader'", "data"),
        (REMOTE, "model.trust_remote_code = true", "model"),
    ):
        path = write("outputs/mine/experiment.toml", section)
        experiment = load_experiment(path)
        with pytest.raises(InputError) as refusal:
            getattr(experiment, key).check_code()
        line = str(refusal.value)
        assert line.startswith(f"{path} names Python code, {code}, and is stored with a run")
        assert "--config" in line and "--trust-reader (in Python trust_reader=True)" in line


def test_copies_are_no_more_trusted_and_experiments_without_code_remain_equal():
    stored = load_experiment(write("outputs/mine/experiment.toml"))
    data = stored.data.model_copy(update={"test": "test.csv"})
    assert not runs_code(stored.model_copy(update={"data": data}))
    assert runs_code(stored.with_origin(None)) and not runs_code(stored)
    write("e.toml", NO_CODE)
    stored = load_experiment(write("outputs/mine/experiment.toml", NO_CODE))
    assert stored == load_experiment("e.toml") and runs_code(stored)
