"""A damaged state or file of weights is refused by name, and the old form runs no code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.split import create_folds
from auxfold.training.tensor_file import read_tensor_file, write_tensor_file
from conftest import load_tensors, make_experiment


def interrupt_at_the_end(experiment: Experiment) -> FoldFolder:
    """A fold that only has to be finished."""
    create_folds(experiment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FoldTrainer, "finish", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train_fold(experiment, 0)
    return RunFolder.of(experiment).fold(0)


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "is missing": Path.unlink,
    "is empty": lambda path: path.write_bytes(b""),
    "was changed": flip_bit,
}


def test_weights_that_are_missing_or_damaged_are_refused(work_dir, backbone):
    """The fold would otherwise get the last weights, under the best score."""
    experiment = make_experiment("train.csv", backbone)
    folder = interrupt_at_the_end(experiment)
    ((evaluation, weights),) = folder.list_evaluation_weights()
    assert evaluation == read_tensor_file(folder.state)["progress"]["stored_evaluation"]
    shutil.copytree(folder.working, "copy")
    damages = {**DAMAGES, "is cut off": lambda path: os.truncate(path, 1000)}
    for message, damage in damages.items():
        damage(weights)
        with pytest.raises(InputError, match=f"^{weights} {message}.*give --overwrite"):
            train_fold(experiment, 0, resume=True)
        assert not folder.path.exists()
        shutil.copytree("copy", folder.working, dirs_exist_ok=True)
    expected = read_tensor_file(weights)["weights"]
    resumed = load_tensors(train_fold(experiment, 0, resume=True).path)
    assert all(torch.equal(resumed[name], values) for name, values in expected.items())


def test_a_missing_file_of_an_average_is_refused(work_dir, backbone):
    experiment = make_experiment("train.csv", backbone, selection={"keep": "average"})
    folder = interrupt_at_the_end(experiment)
    _, first = folder.list_evaluation_weights()[0]
    first.unlink()
    with pytest.raises(InputError, match=f"^{first} is missing; .*give --overwrite"):
        train_fold(experiment, 0, resume=True)


def test_a_state_that_is_damaged_or_crafted_is_refused(work_dir, backbone):
    experiment = make_experiment("train.csv", backbone)
    folder = interrupt_at_the_end(experiment)
    state = read_tensor_file(folder.state)
    flip_bit(folder.state)
    with pytest.raises(InputError, match=f"^{folder.state} was changed"):
        train_fold(experiment, 0, resume=True)
    optimizer = state["parts"]["optimizer"]
    short = {**optimizer["state"][0], "exp_avg": torch.zeros(1)}  # a fused kernel would not look
    moments = {**optimizer["state"], 0: short}
    crafted = [
        {**state, "parts": {**state["parts"], "optimizer": {**optimizer, "state": moments}}},
        {**state, "parts": {}},
        {**state, "random": {**state["random"], "torch": torch.zeros(3)}},
        {**state, "progress": {"epoch": 0, "code": "import os"}},
        [state],
    ]
    for content in crafted:
        write_tensor_file(folder.state, content)
        with pytest.raises(InputError, match=f"^{folder.state} is not a state of this training"):
            train_fold(experiment, 0, resume=True)


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("executed",)


def test_a_pickled_state_is_refused_and_not_executed(work_dir, backbone):
    """As version 0.1 wrote them, and as a downloaded run folder could hold one."""
    experiment = make_experiment("train.csv", backbone, train={"epochs": 1})
    create_folds(experiment)
    folder = RunFolder.of(experiment).fold(0)
    folder.working.mkdir()
    former = folder.working / "state.pt"
    torch.save({"signature": Evil()}, former)
    with pytest.raises(InputError, match=f"^{former} is a pickle.*give --overwrite to start again"):
        train_fold(experiment, 0, resume=True)
    former.rename(folder.state)
    with pytest.raises(InputError, match=f"^{folder.state} is damaged or of another form"):
        train_fold(experiment, 0, resume=True)
    assert not Path("executed").exists()
    assert train_fold(experiment, 0, overwrite=True).exists()


def test_weights_since_the_saved_state_do_not_pile_up(work_dir, backbone, monkeypatch):
    """Of every evaluation that is better than all before; the saved state's stay until the next."""
    experiment = make_experiment(
        "train.csv", backbone, train={"epochs": 2, "evaluations_per_epoch": 4}
    )
    create_folds(experiment)
    numbers, scores, select = [], iter(range(8)), FoldTrainer.select

    def record(self, metrics):
        select(self, {**metrics, "main/auc": next(scores)})
        numbers.append([number for number, _ in self.folder.list_evaluation_weights()])

    monkeypatch.setattr(FoldTrainer, "select", record)
    train_fold(experiment, 0)
    assert numbers == [[0], [1], [2], [3], [3, 4], [3, 5], [3, 6], [3, 7]]
