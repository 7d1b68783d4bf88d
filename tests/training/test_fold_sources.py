"""Training on several sources: absent tasks stand still, sampled epochs resume exactly."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from auxfold.storage.atomic import frame_writer
from auxfold.storage.checksums import atomic_write_checked
from auxfold.storage.run_folder import RunFolder
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.split import create_folds
from conftest import assert_resumes_exactly, make_experiment, make_frame

SOURCES = [{"path": "toxic/train.csv"}, {"path": "threat/train.csv", "rename": {"hard": "threat"}}]
TASKS = [
    {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
    {"name": "aux", "kind": "binary", "columns": ["threat"]},
]


@pytest.fixture
def experiment(work_dir, backbone):
    """60 rows labeled for one task, 20 for the other; a function of ``[train]`` settings."""
    (work_dir / "toxic").mkdir()
    (work_dir / "threat").mkdir()
    make_frame(60, 0)[["id", "text", "toxic"]].to_csv("toxic/train.csv", index=False)
    second = make_frame(20, 1).rename(columns={"threat": "hard"})
    second[["id", "text", "hard"]].to_csv("threat/train.csv", index=False)

    def make(**train):
        settings = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "precision": "fp32",
                    "weight_decay": 0.1, "warmup_ratio": 0.0, **train}  # fmt: skip
        data = {"train": SOURCES}
        experiment = make_experiment("", backbone, data=data, tasks=TASKS, train=settings)
        create_folds(experiment, overwrite=True)
        return experiment

    return make


def record_steps(monkeypatch) -> list[dict]:
    """Every step's rows by source, with heads and backbone before and after it."""
    steps, original = [], FoldTrainer.take_step

    def copy_state(trainer) -> dict[str, torch.Tensor]:
        return {name: v.clone() for name, v in trainer.parts.model.state_dict().items()}

    def take_step(self, indices):
        before, totals = copy_state(self), dict(self.progress.losses)
        original(self, indices)
        self.counter.read()
        source_by_row = dict(zip(self.parts.epochs.indices, self.parts.epochs.sources, strict=True))
        sources = [int(source_by_row[index]) for index in indices]
        losses = {
            name: total - totals.get(name, 0.0)
            for name, total in self.progress.losses.items()
            if total != totals.get(name)
        }
        steps.append(
            {"sources": sources, "before": before, "after": copy_state(self), "losses": losses}
        )

    monkeypatch.setattr(FoldTrainer, "take_step", take_step)
    return steps


def test_a_homogeneous_step_leaves_the_other_tasks_head_as_it_was(experiment, monkeypatch):
    """Also after momentum has built up, and in spite of weight decay."""
    steps = record_steps(monkeypatch)
    folder = train_fold(experiment(batches="homogeneous", sampling="uniform", epochs=3), 0)
    assert {frozenset(step["sources"]) for step in steps} == {frozenset({0}), frozenset({1})}
    assert len(steps) == 3 * 2 * 3, "20 rows of each source, 8 a step"
    for step in steps:
        present, absent = ("main", "aux") if step["sources"][0] == 0 else ("aux", "main")
        for kind in ("weight", "bias"):
            name = f"heads.{absent}.{kind}"
            assert torch.equal(step["before"][name], step["after"][name])
            name = f"heads.{present}.{kind}"
            assert not torch.equal(step["before"][name], step["after"][name])
        assert list(step["losses"]) == [present], "an absent task has no loss, not a loss of 0"
    recorded = json.loads(folder.history.read_text().splitlines()[0])["train_loss"]
    for task in ("main", "aux"):
        losses = [float(s["losses"][task]) for s in steps[:6] if task in s["losses"]]
        assert recorded[task] == pytest.approx(np.mean(losses)), "over the steps that have the task"
    first = [step["sources"][0] for step in steps]
    assert first != sorted(first), "the sources' steps are shuffled among each other"


def test_mixed_steps_hold_both_and_rows_come_as_often_as_asked(experiment, monkeypatch):
    steps = record_steps(monkeypatch)
    train_fold(experiment(sampling="uniform", epochs=1), 0)
    counts = np.bincount([source for step in steps for source in step["sources"]])
    assert counts.tolist() == [20, 20]
    assert any(len(set(step["sources"])) == 2 for step in steps)


@pytest.mark.parametrize("batches", ["mixed", "homogeneous"])
def test_a_sampled_epoch_resumes_exactly(experiment, monkeypatch, batches):
    sampled = experiment(batches=batches, sampling="sqrt", epochs=3)
    assert_resumes_exactly(sampled, monkeypatch, 8)  # within the second epoch


def test_the_default_trains_as_one_joined_file_does(experiment):
    """Sources add nothing else: the same rows in one file give the very weights."""
    sources = experiment()
    folder = train_fold(sources, 0)
    weights = load_file(folder.path / "model.safetensors")
    table, folds = create_folds(sources)
    frame = pd.DataFrame({"id": table.ids, "text": table.texts[0]})
    frame.assign(toxic=table.labels[:, 0], threat=table.labels[:, 1]).to_csv("all.csv", index=False)
    plain = sources.model_copy(
        update={"data": sources.data.model_copy(update={"train": "all.csv"})}
    )
    create_folds(plain, overwrite=True)
    # The very folds: those of several sources are spread by source as well.
    path, frame = RunFolder.of(plain).folds, pd.DataFrame({"id": table.ids, "fold": folds})
    atomic_write_checked(path, frame_writer(path, frame))
    again = load_file(train_fold(plain, 0, overwrite=True).path / "model.safetensors")
    for name, values in weights.items():
        assert torch.equal(values, again[name]), name
