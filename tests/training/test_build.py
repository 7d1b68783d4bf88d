"""A fold's parts are chosen by the device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig

from auxfold.tasks import TaskSet
from auxfold.training import build
from conftest import make_experiment


def choose(experiment, device: str, gathered: list[int] | None = None) -> int:
    """The budget of a BERT-base whose parameters take no memory, on 10 GB of free memory."""
    backbone = SimpleNamespace(
        config=BertConfig(attn_implementation="sdpa"), parameters=lambda: iter(())
    )
    accelerator = SimpleNamespace(
        device=torch.device(device),
        num_processes=1 if gathered is None else len(gathered),
        gather=lambda tokens: torch.tensor(gathered),
    )
    model = SimpleNamespace(backbone=backbone)
    tasks = TaskSet.from_experiment(experiment)
    return build.choose_max_tokens(experiment, tasks, model, "bf16", accelerator)


def test_the_token_budget_is_that_of_the_file_or_of_the_device(monkeypatch):
    monkeypatch.setattr(build, "free_memory", lambda device: 10e9)
    automatic = make_experiment("train.csv", "backbone")
    assert automatic.train.max_tokens_per_batch == "auto"
    assert choose(automatic, "cpu") == 2048
    # A third of 10 GB over 12 layers of 20 * 768 + 2 * (4 * 768 + 3 * 3072) = 39,936 bytes.
    assert choose(automatic, "cuda") == int(10e9 / 3 / (12 * 39_936)) // 1024 * 1024 == 6144
    fixed = make_experiment("train.csv", "backbone", train={"max_tokens_per_batch": 777})
    assert choose(fixed, "cuda") == choose(fixed, "cpu") == 777


def test_steps_that_would_run_twice_if_split_are_larger_on_a_cpu():
    shaped = {"name": "main", "kind": "binary", "columns": ["toxic"], "loss": "metric_shaped"}
    identities = {"columns": ["insult"]}
    experiment = make_experiment("train.csv", "backbone", tasks=[shaped], identities=identities)
    assert choose(experiment, "cpu") == 8192


def test_processes_agree_on_the_smallest_budget(monkeypatch):
    real_tensor = torch.tensor
    monkeypatch.setattr(build, "free_memory", lambda device: 10e9)
    monkeypatch.setattr(build.torch, "tensor", lambda data, device=None: real_tensor(data))
    assert choose(make_experiment("train.csv", "backbone"), "cuda", gathered=[6144, 2048]) == 2048


@pytest.mark.cuda
def test_the_free_memory_of_a_gpu_is_read():
    assert choose(make_experiment("train.csv", "backbone"), "cuda") >= 1024
