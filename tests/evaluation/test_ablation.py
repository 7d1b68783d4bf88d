"""An ablation leaves out exactly one gradient, and compares pair by pair."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from auxfold.config.experiment import load_experiment, to_toml
from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from auxfold.evaluation.ablation import ablation_variants, collect_ablation, read_ablation
from auxfold.evaluation.comparison import VariantRuns, bootstrap_interval
from auxfold.storage.atomic import write_json
from auxfold.tasks import TaskSet
from auxfold.training.objective import Objective
from commands import refusal_of, run_command
from conftest import make_experiment

THREE = [
    {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
    {"name": "aux", "kind": "binary", "columns": ["insult"], "weight": 0.5},
    {"name": "more", "kind": "binary", "columns": ["threat"], "weight": 2.0},
]

PAIRS = [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_variants_leave_out_tasks_or_columns():
    assert ablation_variants(make_experiment("t", "b", tasks=THREE)) == {
        "all": [],
        "without_aux": ["tasks.aux.weight=0"],
        "without_more": ["tasks.more.weight=0"],
        "none": ["tasks.aux.weight=0", "tasks.more.weight=0"],
    }
    names = list(ablation_variants(make_experiment("t", "b")))
    assert names == ["all", "none"], "with one task, none is without it"
    by_column = ablation_variants(make_experiment("t", "b"), by_column=True)
    assert by_column["without_insult"] == ["tasks.aux.label_weights=[0.0, 1.0]"]
    assert list(by_column) == ["all", "without_insult", "without_threat", "none"]
    off = [THREE[0], THREE[1], {**THREE[2], "weight": 0.0}]
    assert list(ablation_variants(make_experiment("t", "b", tasks=off))) == ["all", "none"]
    single = ablation_variants(make_experiment("t", "b", tasks=off), by_column=True)
    assert list(single) == ["all", "none"], "with one column in all, none is without it"
    with pytest.raises(InputError, match="no auxiliary task"):
        ablation_variants(make_experiment("t", "b", tasks=THREE[:1]))


def test_a_left_out_target_sends_no_gradient_and_the_others_their_own(work_dir, tmp_path):
    path = tmp_path / "e.toml"
    path.write_text(to_toml(make_experiment("train.csv", "b", tasks=THREE)))
    gradients = {}
    for name, changes in ablation_variants(load_experiment(path)).items():
        experiment = load_experiment(path, changes)
        tasks = TaskSet.from_experiment(experiment)
        objective = Objective(tasks, read_training_table(experiment))
        logits = {name: torch.zeros(60, 1, requires_grad=True) for name in tasks.names}
        indices = np.arange(60)
        losses = objective.for_step(indices)(logits, indices)
        torch.stack(list(losses.values())).sum().backward()
        gradients[name] = {task: leaf.grad for task, leaf in logits.items()}
    assert (gradients["without_aux"]["aux"] == 0).all()
    torch.testing.assert_close(gradients["without_aux"]["more"], gradients["all"]["more"])
    torch.testing.assert_close(gradients["none"]["main"], gradients["all"]["main"])
    assert (gradients["none"]["more"] == 0).all() and (gradients["all"]["aux"] != 0).any()


def write_metrics(outputs: Path, scores: dict[str, list[float]], metric: str) -> VariantRuns:
    """Fold folders of two seeds and two folds with these scores."""
    runs = VariantRuns("tiny", "ablate", outputs)
    for variant, values in scores.items():
        for (seed, fold), value in zip(PAIRS, values, strict=True):
            write_json(runs.fold(variant, seed, fold).metrics, {metric: value})
    return runs


def test_differences_are_paired_and_point_the_same_way(tmp_path):
    scores = {"all": [0.9, 0.7, 0.8, 0.6], "without_aux": [0.8, 0.6, 0.7, 0.5]}
    runs = write_metrics(tmp_path, scores, "main/auc")
    record = collect_ablation(scores, "main/auc", PAIRS, runs.fold)
    difference = record["metrics"]["main/auc"]["differences"]["without_aux"]
    assert difference["mean"] == pytest.approx(0.1), "it helps in every pair"
    assert difference["low"] == pytest.approx(0.1) and difference["high"] == pytest.approx(0.1)
    runs = write_metrics(tmp_path, scores, "main/log_loss")
    record = collect_ablation(scores, "main/log_loss", PAIRS, runs.fold)
    assert record["metrics"]["main/log_loss"]["differences"]["without_aux"]["mean"] < 0


def test_a_file_of_version_0_1_is_read_as_one_of_this_version(tmp_path):
    scores = {"all": [0.9, 0.7, 0.8, 0.6], "without_aux": [0.8, 0.6, 0.7, 0.5]}
    runs = write_metrics(tmp_path, scores, "main/auc")
    record = collect_ablation(scores, "main/auc", PAIRS, runs.fold)
    write_json(tmp_path / "new.json", record)
    old = {"metric": "main/auc", "pairs": PAIRS, **record["metrics"]["main/auc"]}
    write_json(tmp_path / "old.json", old)
    assert read_ablation(tmp_path / "old.json") == read_ablation(tmp_path / "new.json")


def test_the_interval_is_the_bootstraps():
    gains = np.random.default_rng(0).normal(0.5, 1.0, 400)
    low, high = bootstrap_interval(gains)
    half_width = 1.96 * gains.std() / 20
    assert low == pytest.approx(gains.mean() - half_width, abs=0.01)
    assert high == pytest.approx(gains.mean() + half_width, abs=0.01)


def test_an_ablation_through_the_command(work_dir, backbone):
    experiment = make_experiment("train.csv", backbone, train={"epochs": 1})
    (work_dir / "e.toml").write_text(to_toml(experiment))
    output = run_command(
        "ablate", "--config", "e.toml", "--seeds", "3,4", "--folds", "1", cwd=work_dir
    )
    assert "2 variants, 2 pairs of seed and fold: 4 trainings" in output
    assert "every auxiliary target" in output and "2 pairs of seed and fold" in output
    record = json.loads((work_dir / "outputs/tiny/ablation.json").read_text())
    names = sorted(p.name for p in (work_dir / "outputs").glob("tiny_ablate_*"))
    assert len(names) == 4 and (work_dir / "outputs/tiny/ablation.svg").is_file()
    folds = {(work_dir / f"outputs/{run}/folds.parquet").read_bytes() for run in names}
    assert len(folds) == 1, "the same folds for every seed and variant"
    runs = VariantRuns("tiny", "ablate", work_dir / "outputs")
    for variant, scores in record["metrics"]["main/auc"]["scores"].items():
        for (seed, fold), score in zip(record["pairs"], scores, strict=True):
            metrics = runs.fold(variant, seed, fold).metrics
            assert json.loads(metrics.read_text())["main/auc"] == score
    assert "--folds full" in refusal_of(
        "ablate", "--config", "e.toml", "--folds", "full", cwd=work_dir
    )
