"""Every trainable parameter in exactly one group; decay only where it belongs; the schedules."""

from __future__ import annotations

import pytest
import torch

from auxfold.config import Train
from auxfold.model.backbone import build_model
from auxfold.training.optimizer import make_optimizer, make_schedule, parameter_groups
from conftest import make_backbone, make_experiment


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "modernbert"])
def test_every_parameter_once_and_decay_where_it_belongs(tmp_path, architecture, pooling):
    experiment = make_experiment(
        "t", make_backbone(tmp_path, architecture),
        model={"backbone": str(tmp_path), "pooling": pooling},
    )  # fmt: skip
    model = build_model(experiment, {"main": 1, "aux": 2})
    groups = parameter_groups(model, Train(head_learning_rate=0.5))
    placed = [name for group in groups for name in group["names"]]
    assert sorted(placed) == sorted(n for n, p in model.named_parameters() if p.requires_grad)
    assert len(placed) == len(set(placed))
    for group in groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            assert (group["weight_decay"] > 0) == (parameter.ndim >= 2), name
            assert group["lr"] == (2e-5 if name.startswith("backbone.") else 0.5), name


@pytest.mark.parametrize(("schedule", "halfway"), [("linear", 0.5), ("cosine", 0.5)])
def test_schedule_warms_up_and_ends_at_zero(schedule, halfway):
    settings = Train(schedule=schedule, warmup_ratio=0.2, learning_rate=1.0)
    optimizer = make_optimizer(torch.nn.Linear(2, 2), settings)
    plan = make_schedule(optimizer, settings, 100)
    rates = []
    for _ in range(100):
        rates.append(plan.get_last_lr()[0])
        optimizer.step()
        plan.step()
    assert rates[0] == 0.0 and rates[10] == pytest.approx(0.5) and rates[20] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(halfway)
    assert plan.get_last_lr()[0] == pytest.approx(0.0, abs=1e-9)
