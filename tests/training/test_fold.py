"""What a fold decides: which checkpoint it stores, when it stops, what it starts from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from auxfold.data.loading import read_prediction_table
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.model.multitask import MultiTaskModel
from auxfold.storage.run_folder import FoldFolder
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import log_loss
from auxfold.training.checkpoint import Progress
from auxfold.training.epochs import evaluation_steps
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.loop import StepTrainer
from auxfold.training.split import create_folds
from conftest import make_experiment


def train_with_scores(
    backbone: str, monkeypatch, scores: list[float], metric: str, **selection
) -> FoldFolder:
    """A fold whose evaluations have these scores; the predictions are real."""
    experiment = make_experiment(
        "train.csv",
        backbone,
        train={"epochs": len(scores), "batch_size": 8, "learning_rate": 1e-2, "precision": "fp32"},
        selection={"metric": metric, **selection},
    )
    create_folds(experiment)
    next_scores = iter(scores)
    original = FoldTrainer.select

    def select(self, metrics):
        weights.append(self.parts.model.state_dict()["heads.main.weight"].clone())
        original(self, {**metrics, metric: next(next_scores)})

    weights.clear()
    monkeypatch.setattr(FoldTrainer, "select", select)
    return train_fold(experiment, 0, overwrite=True)


weights: list[torch.Tensor] = []


def saved_head(folder: FoldFolder) -> torch.Tensor:
    return load_file(folder.path / "model.safetensors")["heads.main.weight"]


@pytest.mark.parametrize(("metric", "best"), [("main/auc", 1), ("main/log_loss", 2)])
def test_the_best_checkpoint_is_kept_not_the_last(work_dir, backbone, monkeypatch, metric, best):
    folder = train_with_scores(backbone, monkeypatch, [0.5, 0.7, 0.4, 0.6], metric)
    assert torch.equal(saved_head(folder), weights[best])
    assert not torch.equal(weights[best], weights[3])
    run = json.loads(folder.run.read_text())
    assert run["selection"]["value"] == [0.5, 0.7, 0.4, 0.6][best]


def test_equal_scores_keep_the_earlier_checkpoint(work_dir, backbone, monkeypatch):
    folder = train_with_scores(backbone, monkeypatch, [0.7, 0.7], "main/auc")
    assert torch.equal(saved_head(folder), weights[0])


def test_early_stopping_counts_evaluations_without_improvement(work_dir, backbone, monkeypatch):
    folder = train_with_scores(
        backbone, monkeypatch, [0.5, 0.7, 0.6, 0.65, 0.9, 0.9], "main/auc", early_stopping=2
    )
    assert len(folder.history.read_text().splitlines()) == 4
    assert torch.equal(saved_head(folder), weights[1])


def test_the_recorded_loss_is_the_formula_over_all_rows_of_the_step(work_dir, backbone):
    """One step of the whole fold in several micro-batches, with next to no learning rate."""
    none = {"head_dropout": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0}
    experiment = make_experiment(
        "train.csv",
        backbone,
        data={"train": "train.csv", "test": "train.csv"},
        model={"backbone": backbone, "max_length": 24, **none},
        train={"epochs": 1, "batch_size": 60, "max_tokens_per_batch": 100, "warmup_ratio": 0.0,
               "learning_rate": 1e-12, "precision": "fp32"},
    )  # fmt: skip
    table, folds = create_folds(experiment)
    folder = train_fold(experiment, 0)
    tasks = TaskSet.from_experiment(experiment)
    predictions = Ensemble.from_experiment(experiment, [0]).predict(
        read_prediction_table(experiment, "train.csv"), tasks, "probability", show=False
    )
    recorded = json.loads(folder.history.read_text())["train_loss"]
    labels, rows = table.labels, folds != 0
    assert recorded["main"] == pytest.approx(
        log_loss(labels[rows, 0], predictions["main"][rows, 0]), abs=1e-5
    )
    aux = log_loss(labels[rows, 1:].ravel(), predictions["aux"][rows].ravel())  # over labeled cells
    assert recorded["aux"] == pytest.approx(0.5 * aux, abs=1e-5)


def test_out_of_fold_predictions_are_those_of_the_kept_checkpoint(work_dir, backbone):
    """The fold folder, loaded as anyone would, gives the fold's own out-of-fold file."""
    experiment = make_experiment(
        "train.csv",
        backbone,
        data={"train": "train.csv", "test": "train.csv"},
        train={"epochs": 3, "batch_size": 8, "learning_rate": 1e-2, "precision": "fp32"},
    )
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    oof = pd.read_parquet(folder.oof).set_index("id")
    table = read_prediction_table(experiment, "train.csv")
    ensemble = Ensemble.from_experiment(experiment, [0])
    predictions = ensemble.predict(
        table, TaskSet.from_experiment(experiment), "probability", show=False
    )
    by_id = pd.DataFrame(predictions["aux"], index=table.ids).loc[oof.index]
    np.testing.assert_allclose(by_id, oof[["insult", "threat"]], atol=1e-5)


def test_a_step_moves_no_further_than_the_clipped_gradient(work_dir, backbone, monkeypatch):
    """The norm that AdamW sees is at most ``max_grad_norm``, and unclipped it is larger."""
    norms: dict[float, list[float]] = {}
    for limit in (0.0, 0.05):
        experiment = make_experiment(
            "train.csv",
            backbone,
            train={"epochs": 1, "batch_size": 8, "precision": "fp32", "max_grad_norm": limit},
        )
        create_folds(experiment)
        norms_at_limit = norms.setdefault(limit, [])
        original = torch.optim.AdamW.step

        def step(self, *arguments, norms=norms_at_limit, original=original, **options):
            grads = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(float(torch.linalg.vector_norm(torch.cat([g.flatten() for g in grads]))))
            return original(self, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(torch.optim.AdamW, "step", step)
            train_fold(experiment, 0, overwrite=True)
    assert min(norms[0.0]) > 0.05
    assert max(norms[0.05]) <= 0.05 * (1 + 1e-4)


def test_heads_start_at_the_rate_of_their_labels(work_dir, backbone, monkeypatch):
    """Before the first step an all-zero feature predicts each label's rate on the training rows."""
    started: dict[str, np.ndarray] = {}

    def stop(self):
        heads = self.parts.model.heads
        started.update({k: h.bias.detach().numpy().copy() for k, h in heads.items()})
        raise KeyboardInterrupt

    monkeypatch.setattr(FoldTrainer, "train", stop)
    experiment = make_experiment("train.csv", backbone)
    table, folds = create_folds(experiment)
    with pytest.raises(KeyboardInterrupt):
        train_fold(experiment, 0)
    rates = np.nanmean(table.labels[folds != 0], axis=0)
    biases = np.concatenate([started["main"], started["aux"]])
    np.testing.assert_allclose(1 / (1 + np.exp(-biases)), rates, atol=1e-6)


def test_the_last_step_is_always_evaluated():
    assert evaluation_steps(10, 1) == {10}
    assert evaluation_steps(10, 4) == {2, 5, 8, 10}
    assert evaluation_steps(2, 5) == {1, 2}


def explode(model, *arguments, **options):
    """The forward pass of a model whose logits have overflowed."""
    features = torch.zeros(len(options["input_ids"]), 16)
    return {name: head(features) * float("inf") for name, head in model.heads.items()}


def test_losses_that_are_not_finite_end_the_training(work_dir, backbone, monkeypatch, capsys):
    experiment = make_experiment("train.csv", backbone, train={"batch_size": 4})
    create_folds(experiment)
    monkeypatch.setattr(MultiTaskModel, "forward", explode)
    message = "the loss is (nan|inf) in 5 steps in a row, the last of them epoch 1, step 5; lower"
    with pytest.raises(InputError, match=message):
        train_fold(experiment, 0)
    assert not Path("outputs/tiny/fold_0").exists()
    lines = re.findall(
        "epoch 1, step (.) was not taken: the loss is .* [(]rows 'r.*'[)]", capsys.readouterr().out
    )
    assert lines == list("1234")


def test_a_gradient_that_is_not_finite_is_said_and_not_trained_on(work_dir, backbone, monkeypatch):
    """A finite loss may have a gradient that is not: at 0 the root's slope is infinite."""
    experiment = make_experiment("train.csv", backbone, train={"batch_size": 4})
    create_folds(experiment)
    original = MultiTaskModel.forward

    def forward(model, *arguments, **options):
        logits = original(model, *arguments, **options)
        return {name: values + (0.0 * values).abs().sqrt() for name, values in logits.items()}

    monkeypatch.setattr(MultiTaskModel, "forward", forward)
    with pytest.raises(InputError, match="the gradient's norm is nan in 5 steps in a row"):
        train_fold(experiment, 0)


def test_experiments_of_different_precision_train_in_one_process(work_dir, backbone):
    for precision in ("fp32", "bf16", "fp32"):
        experiment = make_experiment(
            "train.csv", backbone, train={"epochs": 1, "precision": precision}
        )
        create_folds(experiment)
        folder = train_fold(experiment, 0, overwrite=True)
        assert json.loads(folder.run.read_text())["precision"] == precision


def test_dropout_is_on_again_after_an_evaluation(work_dir, backbone, monkeypatch):
    modes, original = [], StepTrainer.train_step

    def record_mode(self, indices):
        modes.append(self.model.training)
        return original(self, indices)

    monkeypatch.setattr(StepTrainer, "train_step", record_mode)
    experiment = make_experiment("train.csv", backbone, train={"evaluations_per_epoch": 2})
    create_folds(experiment)
    train_fold(experiment, 0)
    assert len(modes) == 8 and all(modes)


def test_an_undefined_metric_is_worse_than_any_value():
    """Constant predictions have no correlation: a checkpoint is stored, and no defined one lost."""
    stored = []
    experiment = make_experiment("t", "b", selection={"early_stopping": 2})
    progress = Progress()
    trainer = SimpleNamespace(
        tasks=TaskSet.from_experiment(experiment),
        progress=progress,
        experiment=experiment,
        keep_weights=lambda: stored.append(progress.epoch),
    )
    for epoch, value in enumerate([None, None, 0.6, None, 0.5]):
        progress.epoch = epoch
        FoldTrainer.select(trainer, {"main/auc": value})
        assert progress.stopped == (epoch == 4)
    assert stored == [0, 2] and progress.best == 0.6 and progress.best_at == [2, 0]
