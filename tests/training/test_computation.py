"""run.json says how a fold was computed, so that a person sees why last bits differ."""

from __future__ import annotations

import json

import pytest
import torch

from auxfold.storage.run_folder import RunFolder
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment, train_until_second_epoch


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_allocator_determinism_and_fast_paths(work_dir, backbone, two_threads):
    experiment = make_experiment("train.csv", backbone, train={"epochs": 1})
    create_folds(experiment)
    (computation,) = json.loads(train_fold(experiment, 0).run.read_text())["computations"]
    assert computation["threads"] == 2 and computation["deterministic_algorithms"] is False
    assert computation["allocator"] == "glibc malloc, which keeps freed memory"
    assert computation["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert computation["max_tokens_per_batch"] == 2048
    assert computation["fast_paths"] == {
        "attention": "eager", "padding_free": False, "cuda_graphs": False, "compiled": False,
        "bit_dropout": True,
    }  # fmt: skip


def test_a_fold_that_was_resumed_with_other_threads_says_both(work_dir, backbone, two_threads):
    experiment = make_experiment("train.csv", backbone)
    create_folds(experiment)
    train_until_second_epoch(experiment)
    torch.set_num_threads(1)
    train_fold(experiment, 0, resume=True)
    record = json.loads(RunFolder.of(experiment).fold(0).run.read_text())
    assert [computation["threads"] for computation in record["computations"]] == [2, 1]
