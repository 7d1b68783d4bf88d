"""An ablation leaves out exactly one gradient, and compares pair by pair."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from auxfold.config.experiment import load_experiment, to_toml
from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from auxfold.evaluation.ablation import collect, run_name, variants
from auxfold.evaluation.comparison import interval
from auxfold.tasks import make_tasks
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
    made = variants(make_experiment("t", "b", tasks=THREE))
    assert made == {
        "all": [],
        "without_aux": ["tasks.aux.weight=0"],
        "without_more": ["tasks.more.weight=0"],
        "none": ["tasks.aux.weight=0", "tasks.more.weight=0"],
    }
    assert list(variants(make_experiment("t", "b"))) == ["all", "none"], "one task: none is without"
    by_column = variants(make_experiment("t", "b"), by_column=True)
    assert by_column["without_insult"] == ["tasks.aux.label_weights=[0.0, 1.0]"]
    assert list(by_column) == ["all", "without_insult", "without_threat", "none"]
    off = [THREE[0], THREE[1], {**THREE[2], "weight": 0.0}]
    assert list(variants(make_experiment("t", "b", tasks=off))) == ["all", "none"]
    single = variants(make_experiment("t", "b", tasks=off), by_column=True)
    assert list(single) == ["all", "none"], "one column in all: without it is with none"
    with pytest.raises(InputError, match="no auxiliary task"):
        variants(make_experiment("t", "b", tasks=THREE[:1]))


def test_a_left_out_target_sends_no_gradient_and_the_others_their_own(work_dir, tmp_path):
    path = tmp_path / "e.toml"
    path.write_text(to_toml(make_experiment("train.csv", "b", tasks=THREE)))
    gradients = {}
    for name, changes in variants(load_experiment(path)).items():
        experiment = load_experiment(path, changes)
        objective = Objective(make_tasks(experiment), read_training_table(experiment))
        logits = {t.name: torch.zeros(60, 1, requires_grad=True) for t in experiment.tasks}
        rows = np.arange(60)
        objective.loss(logits, rows, objective.scales(rows))[0].backward()
        gradients[name] = {task: leaf.grad for task, leaf in logits.items()}
    assert (gradients["without_aux"]["aux"] == 0).all()
    torch.testing.assert_close(gradients["without_aux"]["more"], gradients["all"]["more"])
    torch.testing.assert_close(gradients["none"]["main"], gradients["all"]["main"])
    assert (gradients["none"]["more"] == 0).all() and (gradients["all"]["aux"] != 0).any()


def scored(experiment, scores: dict[str, list[float]], metric: str) -> None:
    """Fold folders of two seeds and two folds with given metrics."""
    from auxfold.storage.atomic import write_json
    from auxfold.storage.run_folder import OUTPUTS, RunFolder

    for variant, values in scores.items():
        for (seed, fold), value in zip(PAIRS, values, strict=True):
            folder = RunFolder(OUTPUTS / run_name(experiment.name, variant, seed)).fold(fold)
            write_json(folder.metrics, {metric: value})


def test_differences_are_paired_and_point_the_same_way(work_dir):
    experiment = make_experiment("train.csv", "b", tasks=THREE)
    names = {"all": [0.9, 0.7, 0.8, 0.6], "without_aux": [0.8, 0.6, 0.7, 0.5]}
    scored(experiment, names, "main/auc")
    made = collect(experiment, names, PAIRS)
    told = made["differences"]["without_aux"]
    assert told["mean"] == pytest.approx(0.1), "it helps in every pair"
    assert told["low"] == pytest.approx(0.1) and told["high"] == pytest.approx(0.1)
    lower = make_experiment("t", "b", tasks=THREE, selection={"metric": "main/log_loss"})
    scored(lower, names, "main/log_loss")
    assert collect(lower, names, PAIRS)["differences"]["without_aux"]["mean"] < 0


def test_the_interval_is_the_bootstraps():
    gains = np.random.default_rng(0).normal(0.5, 1.0, 400)
    low, high = interval(gains)
    half = 1.96 * gains.std() / 20
    assert low == pytest.approx(gains.mean() - half, abs=0.01)
    assert high == pytest.approx(gains.mean() + half, abs=0.01)


def test_the_whole_comparison_through_the_script(work_dir, backbone):
    experiment = make_experiment("train.csv", backbone, train={"epochs": 1})
    (work_dir / "e.toml").write_text(to_toml(experiment))
    told = run_command(
        "ablate", "--config", "e.toml", "--seeds", "3,4", "--folds", "1", cwd=work_dir
    )
    assert "2 variants, 2 pairs of seed and fold: 4 trainings" in told
    assert "every auxiliary target" in told and "2 pairs of seed and fold" in told
    record = json.loads((work_dir / "outputs/tiny/ablation.json").read_text())
    runs = sorted(p.name for p in (work_dir / "outputs").glob("tiny_ablate_*"))
    assert len(runs) == 4 and (work_dir / "outputs/tiny/ablation.svg").is_file()
    folds = {(work_dir / f"outputs/{run}/folds.parquet").read_bytes() for run in runs}
    assert len(folds) == 1, "the same folds for every seed and variant"
    for variant, values in record["scores"].items():
        for (seed, fold), value in zip(record["pairs"], values, strict=True):
            folder = work_dir / f"outputs/{run_name(experiment.name, variant, seed)}/fold_{fold}"
            assert json.loads((folder / "metrics.json").read_text())["main/auc"] == value
    assert "--folds full" in refusal_of(
        "ablate", "--config", "e.toml", "--folds", "full", cwd=work_dir
    )
