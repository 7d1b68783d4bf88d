"""A fold whose weights are the mean of its last evaluations' weights."""

from __future__ import annotations

import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import auxfold
from auxfold.errors import InputError
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.training.checkpoint import WeightStore, average_weights
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.loop import StepTrainer
from auxfold.training.split import create_folds
from auxfold.training.tensor_file import read_tensor_file, write_tensor_file
from conftest import make_experiment

FOUR = {"epochs": 2, "evaluations_per_epoch": 2, "learning_rate": 1e-2}  # evaluations


def make_averaging_experiment(backbone: str, name: str = "tiny", **changes):
    selection = {"keep": "average", **changes.pop("selection", {})}
    train = {**FOUR, **changes.pop("train", {})}
    experiment = make_experiment(
        "train.csv", backbone, name=name, selection=selection, train=train, **changes
    )
    create_folds(experiment)
    return experiment


def load_weights(folder: FoldFolder) -> dict[str, torch.Tensor]:
    return load_file(folder.path / "model.safetensors")


def record_weights(monkeypatch) -> list[dict[str, torch.Tensor]]:
    """Copies of the weights at every evaluation."""
    copies: list[dict[str, torch.Tensor]] = []
    original = WeightStore.save

    def save(self, weights, predictions, evaluation):
        assert evaluation == len(copies)
        copies.append({name: values.clone() for name, values in weights.items()})
        original(self, weights, predictions, evaluation)

    monkeypatch.setattr(WeightStore, "save", save)
    return copies


@pytest.mark.parametrize("fold", [0, "full"])
@pytest.mark.parametrize("n", [2, 3, 9])
def test_the_fold_is_the_mean_of_its_last_evaluations(work_dir, backbone, monkeypatch, n, fold):
    copies = record_weights(monkeypatch)
    folder = train_fold(make_averaging_experiment(backbone, selection={"checkpoints": n}), fold)
    assert len(copies) == 4
    last = copies[-n:]
    for name, values in load_weights(folder).items():
        expected = sum(weights[name].double() for weights in last) / len(last)
        torch.testing.assert_close(values.double(), expected, atol=1e-6, rtol=1e-6)
    head = [weights["heads.main.weight"] for weights in copies]
    assert (head[-1] - load_weights(folder)["heads.main.weight"]).abs().max() > 1e-4
    assert read_json(folder.run)["selection"]["averaged"] == min(n, 4)
    assert [path.name for path in folder.path.glob("*.safetensors")] == ["model.safetensors"]
    if fold == "full":
        return
    oof = pd.read_parquet(folder.oof).set_index("id")
    rows = pd.read_csv("train.csv").set_index("id").loc[oof.index]
    predictions = auxfold.load(folder.path).predict(rows)
    np.testing.assert_allclose(predictions["toxic"], oof["toxic"], atol=1e-6)
    assert f"mean of those at the last {min(n, 4)}" in folder.card.read_text()


@pytest.mark.parametrize(
    "changes",
    [{}, {"train": {"ema": 0.9}}, {"model": {"adapter": {"kind": "lora"}}}],
    ids=["plain", "ema", "lora"],
)
def test_a_resumed_fold_has_the_very_same_mean(work_dir, backbone, monkeypatch, changes):
    """Asked to stop after the first evaluation, and after the third one, in the same training."""
    changes = {k: {**({"backbone": backbone, "max_length": 24} if k == "model" else {}), **v}
               for k, v in changes.items()}  # fmt: skip
    experiment = make_averaging_experiment(backbone, selection={"checkpoints": 2}, **changes)
    whole = load_weights(train_fold(experiment, 0))
    original, steps = StepTrainer.train_step, []

    def interrupt(self, indices):
        steps.append(indices)
        if len(steps) in (3, 7):
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, indices)

    monkeypatch.setattr(StepTrainer, "train_step", interrupt)
    for overwrite in (True, False):
        with pytest.raises(KeyboardInterrupt):
            train_fold(experiment, 0, resume=not overwrite, overwrite=overwrite)
    folder = RunFolder.of(experiment).fold(0)
    assert [n for n, _ in folder.list_evaluation_weights()] == [1, 2], "older ones are gone"
    resumed = load_weights(train_fold(experiment, 0, resume=True))
    assert all(torch.equal(resumed[name], values) for name, values in whole.items())


def test_a_crash_after_later_evaluations_costs_no_weights(work_dir, backbone, monkeypatch):
    """The saved state is two evaluations older than the files: its own must still be there."""
    experiment = make_averaging_experiment(
        backbone, selection={"checkpoints": 2}, train={"epochs": 3}
    )
    whole = load_weights(train_fold(experiment, 0))
    evaluate, calls = FoldTrainer.evaluate_and_select, []

    class Crash(Exception):
        pass

    def crash(self, share, log):
        evaluate(self, share, log)
        calls.append(share)
        if len(calls) == 4:
            raise Crash

    monkeypatch.setattr(FoldTrainer, "evaluate_and_select", crash)
    with pytest.raises(Crash):
        train_fold(experiment, 0, overwrite=True)
    folder = RunFolder.of(experiment).fold(0)
    state = read_tensor_file(folder.state)["progress"]
    assert len(state["history"]) == 2
    assert [n for n, _ in folder.list_evaluation_weights()] == [0, 1, 2, 3]
    # Another machine's rounding, say.
    write_tensor_file(folder.evaluation_weights(3), read_tensor_file(folder.evaluation_weights(0)))
    monkeypatch.setattr(FoldTrainer, "evaluate_and_select", evaluate)
    resumed = load_weights(train_fold(experiment, 0, resume=True))
    assert all(torch.equal(resumed[name], values) for name, values in whole.items())


def test_early_stopping_ends_at_a_mean_of_what_there_was(work_dir, backbone, monkeypatch):
    scores = iter([0.9, 0.2, 0.1, 0.0])
    select = FoldTrainer.select
    monkeypatch.setattr(
        FoldTrainer, "select", lambda self, m: select(self, {**m, "main/auc": next(scores)})
    )
    copies = record_weights(monkeypatch)
    folder = train_fold(make_averaging_experiment(backbone, selection={"early_stopping": 1}), 0)
    assert len(copies) == 2 and read_json(folder.run)["selection"]["averaged"] == 2


def test_numbers_that_are_no_floats_are_the_last_ones(tmp_path):
    paths = [tmp_path / f"{n}.safetensors" for n in range(3)]
    for n, path in enumerate(paths):
        weights = {"w": torch.tensor([3.0 * n, 1.0]), "n": torch.tensor(n)}
        write_tensor_file(path, {"weights": weights, "predictions": {}})
    mean = average_weights(paths, torch.device("cpu"))
    assert mean["w"].tolist() == [3.0, 1.0] and int(mean["n"]) == 2


def test_what_cannot_be_averaged_is_refused_and_fingerprints_stay():
    plain = make_experiment("t", "b")
    assert make_experiment("t", "b", selection={"checkpoints": 3}).fingerprint() == (
        plain.fingerprint()
    )
    with pytest.raises(InputError, match="checkpoints is not read by keep = 'best', but by av"):
        make_experiment("t", "b", selection={"checkpoints": 4})
    with pytest.raises(InputError, match="'average' needs two evaluations or more"):
        make_experiment("t", "b", selection={"keep": "average"}, train={"epochs": 1})
    two = make_experiment("t", "b", selection={"keep": "average"})
    four = make_experiment("t", "b", selection={"keep": "average", "checkpoints": 4})
    assert two.fingerprint() != four.fingerprint() != plain.fingerprint()
