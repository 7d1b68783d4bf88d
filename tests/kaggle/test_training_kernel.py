"""A training kernel: its budget, its folds on two processes, and its submission in any case."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from auxfold.config.experiment import load_experiment
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.kaggle import training_kernel, training_processes
from auxfold.kaggle.training_kernel import describe_plan, train_and_predict
from auxfold.storage.run_folder import RunFolder
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from kaggle_training import (
    COMPETITION,
    N_TEST_ROWS,
    bundle_training,
    forked_processes,  # noqa: F401
    make_competition,
    mount,
)
from language_models import make_language_model
from offline_notebook import execute_offline


@pytest.fixture
def kernel_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``/kaggle/working``: the current directory, once the bundle is written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "working"


def start(folder: Path, backbone: str, /, **changes: object) -> tuple[Path, Path]:
    """Bundle an experiment at home, and go to Kaggle; the inputs and the dataset there."""
    plan = changes.pop("plan", {})
    experiment = make_competition(Path(), backbone, **changes)
    root, dataset = mount(bundle_training(experiment, Path(), **plan), Path("kaggle").resolve())
    folder.mkdir()
    os.chdir(folder)
    return root, dataset


def patch_workers(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Run a program in every process before it trains or predicts."""
    run = training_processes._run
    call = "\nimport json, sys\nfrom auxfold.kaggle.training_worker import main\n"
    whole = f"{program}{call}main(json.loads(sys.argv[1]))"

    def run_patched(commands, environments, kill_at):
        patched = [[sys.executable, "-c", whole, command[-1]] for command in commands]
        return run(patched, environments, kill_at)

    monkeypatch.setattr(training_processes, "_run", run_patched)


def read_submission(root: Path) -> pd.DataFrame:
    """The submission, which is complete."""
    frame = pd.read_csv("submission.csv")
    sample = pd.read_csv(root / "competitions" / COMPETITION / "sample_submission.csv")
    assert list(frame.columns) == list(sample.columns)
    assert frame["id"].tolist() == sample["id"].tolist() and len(frame) == N_TEST_ROWS
    assert frame["prediction"].notna().all()
    return frame


@pytest.mark.usefixtures("forked_processes")
def test_the_submission_is_that_of_the_commands(kernel_folder, backbone, capsys):
    """Two processes train a fold each, as ``train`` and ``inference`` would."""
    root, dataset = start(kernel_folder, backbone)
    assert describe_plan(dataset)[0] == "tiny: folds 0, 1, 1 GPU each"
    frame, folds = train_and_predict(dataset, root, hours=1, devices=["cpu", "cpu"])
    assert folds == [0, 1]
    output = capsys.readouterr().out
    assert "31 rows with the means of the labels, for now" in output
    assert "fold 0: finished, main/auc" in output and "fold 1: finished" in output
    pd.testing.assert_frame_equal(read_submission(root), frame, check_dtype=False)

    experiment = load_experiment(RunFolder(Path("outputs/tiny")).experiment)
    trained = load_file("outputs/tiny/fold_1/model.safetensors")
    (kernel_folder / "again").mkdir()
    os.chdir(kernel_folder / "again")
    create_folds(experiment)
    for fold in (0, 1):
        train_fold(experiment, fold)
    for name, values in load_file("outputs/tiny/fold_1/model.safetensors").items():
        np.testing.assert_array_equal(values, trained[name], err_msg=name)
    submission = training_kernel.TrainingSubmission(experiment, Path("submission.csv"))
    expected = Ensemble.from_experiment(experiment).predict(
        submission.test, submission.tasks, "probability"
    )
    by_id = dict(zip(submission.test.ids, expected["main"][:, 0], strict=True))
    np.testing.assert_allclose(frame["prediction"], [by_id[i] for i in frame["id"]], rtol=1e-5)


STOP_AFTER_20_STEPS = """
from auxfold.kaggle import training_worker

class StepLimit(training_worker.TimeLimit):
    steps = 0

    def is_over(self, n_evaluations=0):
        self.steps += 1
        return self.steps > 20

training_worker.TimeLimit = StepLimit
"""


@pytest.mark.usefixtures("forked_processes")
def test_a_budget_that_runs_out_costs_no_row_and_the_next_version_goes_on(
    kernel_folder, backbone, capsys, monkeypatch
):
    """Both folds stop in the middle, and both are in the submission."""
    root, dataset = start(kernel_folder, backbone, train={"epochs": 5})
    patch_workers(monkeypatch, STOP_AFTER_20_STEPS)
    _, folds = train_and_predict(dataset, root, hours=1, devices=["cpu", "cpu"])
    assert folds == [0, 1]
    first = read_submission(root)
    assert first["prediction"].nunique() > 5, "predicted, and not the mean of the labels"
    output = capsys.readouterr().out
    assert "fold 0: stopped after 51% of its rows and 2 evaluations, main/auc" in output
    assert "fold 1: stopped after 51% of its rows" in output and "ONLY" not in output
    folder = RunFolder(Path("outputs/tiny"))
    assert folder.finished() == [] and folder.fold(1).state.is_file()

    earlier = root / "notebooks/ada/auxfold-tiny-training-kernel"
    shutil.copytree(kernel_folder, earlier)
    for path in earlier.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (kernel_folder.parent / "next").mkdir()
    os.chdir(kernel_folder.parent / "next")
    _, folds = train_and_predict(dataset, root, hours=1, devices=["cpu", "cpu"])
    assert folds == [0, 1]
    read_submission(root)
    output = capsys.readouterr().out
    assert f"fold 1: begun in {earlier / 'outputs/tiny'}" in output
    assert "fold 0: finished" in output and "fold 1: finished" in output
    continued = load_file("outputs/tiny/fold_1/model.safetensors")

    experiment = load_experiment(RunFolder(Path("outputs/tiny")).experiment)
    (kernel_folder.parent / "whole").mkdir()
    os.chdir(kernel_folder.parent / "whole")
    create_folds(experiment)
    whole = train_fold(experiment, 1)
    for name, values in load_file(whole.path / "model.safetensors").items():
        np.testing.assert_array_equal(values, continued[name], err_msg=name)


@pytest.mark.usefixtures("forked_processes")
def test_a_fold_for_which_there_is_no_time_is_not_begun(
    kernel_folder, backbone, capsys, monkeypatch
):
    """The first fold was too slow for another one."""
    root, dataset = start(kernel_folder, backbone)
    read_times = training_kernel._Kernel._read_times

    def slow(kernel, job):
        read_times(kernel, job)
        assert 0 < kernel.shortest < 600, "from the start to predictions of the first evaluation"
        kernel.shortest = 4000.0

    monkeypatch.setattr(training_kernel._Kernel, "_read_times", slow)
    _, folds = train_and_predict(dataset, root, hours=1, devices=["cpu"])
    assert folds == [0]
    read_submission(root)
    output = capsys.readouterr().out
    assert "fold 1: not begun, as it would take 4000 s at least" in output
    assert "ONLY 1 OF 2 FOLDS are averaged" in output


@pytest.mark.usefixtures("forked_processes")
def test_a_fold_without_an_evaluation_counts_only_where_there_is_no_other(
    kernel_folder, backbone, capsys, monkeypatch
):
    root, dataset = start(kernel_folder, backbone, plan={"folds": [1, 0]})
    at_once = STOP_AFTER_20_STEPS.replace("self.steps > 20", "job_fold == 1 and self.steps > 3")
    program = "import json, sys\njob_fold = json.loads(sys.argv[1])['job']['fold']\n" + at_once
    patch_workers(monkeypatch, program)
    _, folds = train_and_predict(dataset, root, hours=1, devices=["cpu"])
    assert folds == [0]
    output = capsys.readouterr().out
    assert "submission.csv: 31 rows, folds 1 averaged" in output, "as long as it is the only one"
    assert "0 evaluations, NOT averaged, as others were evaluated" in output
    read_submission(root)


def test_without_any_time_the_submission_holds_the_means(kernel_folder, backbone, capsys):
    root, dataset = start(kernel_folder, backbone)
    frame, folds = train_and_predict(dataset, root, hours=0, devices=["cpu", "cpu"])
    assert folds == []
    labels = pd.read_csv(root / "competitions" / COMPETITION / "train.csv")["toxic"]
    np.testing.assert_allclose(frame["prediction"], labels.mean(), rtol=1e-5)
    np.testing.assert_allclose(read_submission(root)["prediction"], labels.mean(), rtol=1e-5)
    assert "NO FOLD WAS TRAINED IN TIME" in capsys.readouterr().out


@pytest.mark.usefixtures("forked_processes")
def test_a_fold_that_fails_costs_itself(kernel_folder, capsys, monkeypatch):
    """The training of fold 0 is killed, again and again; both adapt a language model in 4 bits."""
    Path("wheels").mkdir()
    Path("wheels/bitsandbytes-0.50.2-py3-none-any.whl").touch()  # it is installed here
    backbone = make_language_model(kernel_folder.parent / "qwen", "qwen3")
    settings = {"adapter": {"kind": "lora"}, "quantization": "nf4"}
    root, dataset = start(kernel_folder, backbone, model=settings)
    run = training_processes._run

    def kill_first(commands, environments, kill_at):
        arguments = json.loads(commands[0][-1])
        is_first = arguments["job"]["fold"] == 0 and arguments["shard"] is None
        return -9 if is_first else run(commands, environments, kill_at)

    monkeypatch.setattr(training_processes, "_run", kill_first)
    _, folds = train_and_predict(dataset, root, hours=1, devices=["cpu"])
    assert folds == [1]
    read_submission(root)
    output = capsys.readouterr().out
    assert output.count("fold 0: THE TRAINING FAILED with exit code -9") == 2
    assert "fold 0: failed in training, see above" in output


DIE_IN_SECOND_EPOCH = """
import os
from auxfold.training.fold_trainer import FoldTrainer

take_step = FoldTrainer.take_step

def die_in_second_epoch(trainer, indices):
    if trainer.progress.epoch == 1:
        os.kill(os.getpid(), 9)
    take_step(trainer, indices)

FoldTrainer.take_step = die_in_second_epoch
"""


@pytest.mark.usefixtures("forked_processes")
def test_a_training_that_dies_is_taken_as_it_was_saved(
    kernel_folder, backbone, capsys, monkeypatch
):
    """The process dies in the second epoch, again and again; its state is that of the first."""
    root, dataset = start(kernel_folder, backbone, plan={"folds": [1]})
    patch_workers(monkeypatch, DIE_IN_SECOND_EPOCH)
    _, folds = train_and_predict(dataset, root, hours=1, devices=["cpu"])
    assert folds == [1]
    read_submission(root)
    output = capsys.readouterr().out
    assert output.count("THE TRAINING FAILED with exit code -9") == 2
    assert "fold 1: stopped after 50% of its rows and 1 evaluation," in output


@pytest.mark.usefixtures("forked_processes")
def test_two_devices_train_one_fold_together(kernel_folder, backbone):
    root, dataset = start(kernel_folder, backbone, plan={"folds": ["full"], "gpus_per_fold": 2})
    frame, folds = train_and_predict(dataset, root, hours=1, devices=["cpu", "cpu"])
    assert folds == ["full"] and frame["prediction"].nunique() > 5
    read_submission(root)
    assert RunFolder(Path("outputs/tiny")).fold("full").read_run()["processes"] == 2


@pytest.mark.usefixtures("forked_processes")
def test_an_earlier_version_of_other_rows_or_settings_is_not_continued(
    kernel_folder, backbone, capsys
):
    root, dataset = start(kernel_folder, backbone, plan={"folds": [0]})
    train_and_predict(dataset, root, hours=1, devices=["cpu"])
    shutil.copytree(kernel_folder, root / "earlier")
    train = root / "competitions" / COMPETITION / "train.csv"
    pd.read_csv(train).iloc[:-1].to_csv(train, index=False)
    (kernel_folder.parent / "next").mkdir()
    os.chdir(kernel_folder.parent / "next")
    capsys.readouterr()
    train_and_predict(dataset, root, hours=0, devices=["cpu"])
    reason = f"{root / 'earlier/outputs/tiny'} is not continued: it was trained on other rows"
    assert reason in capsys.readouterr().out


def test_a_missing_file_is_refused_before_any_training(kernel_folder, backbone):
    root, dataset = start(kernel_folder, backbone)
    (root / "competitions" / COMPETITION / "train.csv").unlink()
    with pytest.raises(InputError, match="no train.csv of tiny-comments"):
        train_and_predict(dataset, root, hours=1)
    assert not Path("submission.csv").exists()


def test_the_notebook_trains_with_no_network(kernel_folder, backbone):
    """Two processes, and a budget that runs out in the middle of their folds."""
    root, dataset = start(kernel_folder, backbone, train={"epochs": 100_000})
    home, seconds = kernel_folder.parent, 30
    output = execute_offline(
        home / "outputs/tiny/kaggle_training/kernel/kaggle_training.ipynb",
        kernel_folder,
        AUXFOLD_INPUT=str(root),
        AUXFOLD_DEVICES="cpu,cpu",
        AUXFOLD_HOURS=str(seconds / 3600),
        OMP_NUM_THREADS="1",
    )
    assert output.startswith("packages: all are recent enough, none is installed")
    assert str(dataset / "src/auxfold") in output
    read_submission(root)
    # A machine that is busy with other things may have no time for an evaluation, or for anything.
    assert "stopped after 0% of its rows" in output or "NO FOLD WAS TRAINED IN TIME" in output
    assert "finished" not in output
