"""After three steps the weights are those of a loop in plain torch that anybody can check.

The loop knows nothing of auxfold but the rows of each step and the weights to start from. It has a
backbone of transformers, one linear layer per task, padding by the tokenizer, and torch's AdamW.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

from auxfold.config.experiment import Experiment
from auxfold.data.loading import read_training_table
from auxfold.tasks import TaskSet
from auxfold.training.build import FoldParts, build_fold
from conftest import make_experiment, make_frame

N_STEPS = 3
STILL = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0}
MAIN = {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True}
AUX = {"name": "aux", "kind": "binary", "columns": ["insult", "threat"], "weight": 0.5}


def make_parts(backbone: str, changes: dict[str, Any]) -> tuple[Experiment, FoldParts]:
    """What trains an experiment on ``train.csv``, which is written here, on the CPU in fp32."""
    frame = make_frame()
    frame["weight"] = np.random.default_rng(1).uniform(0.1, 3.0, len(frame))
    frame.to_csv("train.csv", index=False)
    AcceleratorState._reset_state()
    experiment = make_experiment(
        "train.csv",
        backbone,
        **{**changes, "model": {**STILL, **changes.get("model", {})}},
    )
    table, tasks = read_training_table(experiment), TaskSet.from_experiment(experiment)
    everything, accelerator = np.arange(len(table)), Accelerator(cpu=True)
    parts = build_fold(experiment, tasks, table, everything, accelerator, seed=0)
    parts.model.train()
    return experiment, parts


class NaiveModel(nn.Module):
    def __init__(self, backbone: str, experiment: Experiment) -> None:
        super().__init__()
        self.backbone = AutoModel.from_pretrained(
            backbone, attn_implementation="eager", hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, add_pooling_layer=False,
        )  # fmt: skip
        width = self.backbone.config.hidden_size
        heads = {task.name: nn.Linear(width, len(task.columns)) for task in experiment.tasks}
        self.heads = nn.ModuleDict(heads)
        self.pooling = experiment.model.pooling

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        hidden = self.backbone(**batch).last_hidden_state
        if self.pooling == "cls":
            features = hidden[:, 0]
        else:
            mask = batch["attention_mask"][:, :, None].float()
            features = (hidden * mask).sum(1) / mask.sum(1)
        return {name: head(features) for name, head in self.heads.items()}


def task_loss(task: Any, logits: torch.Tensor, rows: pd.DataFrame) -> torch.Tensor:
    labels = torch.tensor(rows[task.columns].to_numpy(), dtype=torch.float32)
    known = ~labels.isnan()
    pos_weight = torch.tensor(task.pos_weight) if task.pos_weight is not None else None
    losses = F.binary_cross_entropy_with_logits(
        logits, labels.nan_to_num(), reduction="none", pos_weight=pos_weight
    )
    weights = torch.tensor(rows["sample_weight"].to_numpy(), dtype=torch.float32)[:, None]
    counted = known * weights if task.divide_by_weight_sum else known.float()
    counts = counted.sum(dim=0)  # per column
    if task.reduction == "mean":
        counts = counts.sum()
    of_columns = (losses * weights * known).sum(dim=0) / counts
    if task.label_weights is not None:
        of_columns = of_columns * torch.tensor(task.label_weights)
    return task.weight * of_columns.sum()


def naive_weights(
    backbone: str, experiment: Experiment, start: dict[str, torch.Tensor], steps: list[np.ndarray]
) -> dict[str, torch.Tensor]:
    """The weights after these steps; 60 rows in steps of 8 make 8 steps an epoch."""
    frame, train = pd.read_csv("train.csv"), experiment.train
    weighted = experiment.data.sample_weight is not None
    frame["sample_weight"] = frame["weight"] if weighted else 1.0
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    model = NaiveModel(backbone, experiment)
    model.load_state_dict(start)
    groups = []
    for name, parameter in model.named_parameters():
        is_head = name.startswith("heads.")
        rate = (train.head_learning_rate if is_head else None) or train.learning_rate
        decay = train.weight_decay if parameter.ndim >= 2 else 0.0
        groups.append({"params": [parameter], "lr": rate, "weight_decay": decay})
    optimizer = torch.optim.AdamW(groups)
    rates = [group["lr"] for group in groups]
    n_steps = train.epochs * 8
    n_warmup = round(train.warmup_ratio * n_steps)
    for number, indices in enumerate(steps):
        decayed = (n_steps - number) / (n_steps - n_warmup)
        factor = number / n_warmup if number < n_warmup else decayed
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        rows = frame.iloc[indices]
        batch = tokenizer(
            rows["text"].tolist(), padding=True, truncation=True, return_tensors="pt",
            max_length=experiment.model.max_length,
        )  # fmt: skip
        logits = model(batch)
        loss = sum(task_loss(task, logits[task.name], rows) for task in experiment.tasks)
        optimizer.zero_grad()
        loss.backward()
        if train.max_grad_norm:
            nn.utils.clip_grad_norm_(model.parameters(), train.max_grad_norm)
        optimizer.step()
    return model.state_dict()


SETTINGS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "main alone": {"tasks": [MAIN]},
    "weights of rows": {"data": {"sample_weight": "weight"}},
    "weights of labels": {"tasks": [MAIN, {**AUX, "label_weights": [2.0, 0.5]}]},
    "sum over columns": {"tasks": [MAIN, {**AUX, "reduction": "sum", "weight": 1.5}]},
    "divided by weights": {
        "data": {"sample_weight": "weight"},
        "tasks": [{**MAIN, "divide_by_weight_sum": True}, AUX],
    },
    "weights of positives": {"tasks": [MAIN, {**AUX, "pos_weight": 3.0}]},
    "clipped": {"train": {"max_grad_norm": 0.02}},
    "not clipped": {"train": {"max_grad_norm": 0.0}},
    "micro-batches": {"train": {"max_tokens_per_batch": 40}},
    "decayed": {"train": {"weight_decay": 0.3, "warmup_ratio": 0.0}},
    "rates of its own for heads": {"train": {"head_learning_rate": 0.05}},
    "first token": {"model": {"pooling": "cls"}},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_weights_of_a_naive_loop(work_dir, backbone, name):
    experiment, parts = make_parts(backbone, SETTINGS[name])
    start = {key: values.clone() for key, values in parts.model.state_dict().items()}
    steps = parts.epochs.steps(0)[:N_STEPS]
    for indices in steps:
        parts.runner.train_step(indices)
    expected = naive_weights(backbone, experiment, start, steps)
    trained = parts.model.state_dict()
    assert set(trained) == set(expected)
    moved = max(float((trained[key] - start[key]).abs().max()) for key in start)
    assert moved > 1e-4, "the steps have moved something"
    for key, values in expected.items():
        torch.testing.assert_close(trained[key], values, rtol=1e-4, atol=3e-6, msg=key)
