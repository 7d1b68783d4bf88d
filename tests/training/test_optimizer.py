"""Every trainable parameter in exactly one group; decay only where it belongs; the schedules."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from transformers import AutoConfig, AutoModel

from auxfold.config import Train
from auxfold.model.backbone import build_model
from auxfold.training.optimizer import (
    guarded_step,
    make_optimizer,
    parameter_groups,
)
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


def test_biases_with_two_dimensions_are_not_decayed(tmp_path):
    """MPNet's relative positions are a table that is added to the scores of attention."""
    experiment = make_experiment("t", make_backbone(tmp_path, "mpnet"))
    groups = parameter_groups(build_model(experiment, {"main": 1}), Train(weight_decay=0.1))
    decay = {name: group["weight_decay"] for group in groups for name in group["names"]}
    assert decay["backbone.encoder.relative_attention_bias.weight"] == 0.0
    assert decay["backbone.embeddings.word_embeddings.weight"] == 0.1
    xlnet = AutoModel.from_config(
        AutoConfig.for_model("xlnet", d_model=16, n_layer=1, n_head=2, d_inner=32, vocab_size=40)
    )
    decayed = {
        name
        for group in parameter_groups(xlnet, Train(weight_decay=0.1))
        if group["weight_decay"]
        for name in group["names"]
    }
    attention = "layer.0.rel_attn."
    assert attention + "q" in decayed
    assert xlnet.layer[0].rel_attn.r_w_bias.ndim == 2 and attention + "r_w_bias" not in decayed


def test_a_guarded_step_is_an_ordinary_one_or_none_at_all():
    """Where it is not finite, parameters, moments and the count of steps stay as they were."""
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    guarded, plain = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    plain.load_state_dict(guarded.state_dict())
    optimizer = accelerator.prepare_optimizer(make_optimizer(guarded, Train(learning_rate=0.1)))
    reference = make_optimizer(plain, Train(learning_rate=0.1))
    for number, is_finite in enumerate((True, False, True, True)):
        for model in (guarded, plain):
            for parameter in model.parameters():
                parameter.grad = torch.full_like(parameter, number + 1.0)
        if not is_finite:
            guarded.weight.grad[0, 0] = float("nan")
        guarded_step(optimizer, torch.tensor(is_finite))
        if is_finite:
            reference.step()
        for ours, theirs in zip(guarded.parameters(), plain.parameters(), strict=True):
            assert torch.equal(ours, theirs)
            state = optimizer.optimizer.state[ours]
            for name, value in reference.state[theirs].items():
                assert torch.equal(state[name], value), name


def test_cut_points_are_not_decayed_and_learn_faster(backbone):
    task = {"name": "stars", "kind": "ordinal", "columns": ["y"], "classes": 4}
    model = build_model(make_experiment("t", backbone, tasks=[task]), {"stars": 4})
    groups = parameter_groups(model, Train(learning_rate=1e-5, head_learning_rate=1e-3))
    by_name = {name: group for group in groups for name in group["names"]}
    assert by_name["heads.stars.weight"]["lr"] == 1e-3
    cut_points = by_name["heads.stars.cut_points"]
    assert cut_points["lr"] == pytest.approx(0.1) and cut_points["weight_decay"] == 0.0
