"""Variants are compared on the same rows, pair by pair, through the command."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from auxfold.cli.variants import parse_pairs
from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.evaluation.comparison import (
    VariantRuns,
    bootstrap_interval,
    collect_comparison,
    format_comparison,
)
from auxfold.storage.atomic import write_json
from commands import refusal_of, run_command
from conftest import make_experiment

PAIRS = [(1, 0), (1, 1)]


def write_metrics(outputs: Path, scores: dict[str, list[float | None]], metric: str) -> VariantRuns:
    """Fold folders of one seed and two folds with these scores."""
    runs = VariantRuns("e", "compare", outputs)
    for variant, values in scores.items():
        for (seed, fold), value in zip(PAIRS, values, strict=True):
            write_json(runs.fold(variant, seed, fold).metrics, {metric: value})
    return runs


@pytest.mark.parametrize(("metric", "sign"), [("main/auc", 1), ("main/log_loss", -1)])
def test_differences_are_of_pairs_and_above_zero_is_better(tmp_path, metric, sign):
    runs = write_metrics(tmp_path, {"base": [0.9, 0.5], "new": [0.8, 0.3]}, metric)
    record = collect_comparison(["base", "new"], "base", [metric], PAIRS, runs.fold)
    results = record["metrics"][metric]
    assert results["scores"] == {"base": [0.9, 0.5], "new": [0.8, 0.3]}
    difference = results["differences"]["new"]
    assert list(results["differences"]) == ["new"]
    assert difference["mean"] == pytest.approx(-0.15 * sign)
    ends = sorted([difference["low"], difference["high"]])
    assert ends == pytest.approx(sorted([-0.2 * sign, -0.1 * sign]))
    table = format_comparison(record)
    assert f"{-0.15 * sign:+.4f}" in table and "2 pairs" in table


def test_what_cannot_be_compared_is_refused(tmp_path):
    runs = write_metrics(tmp_path, {"base": [0.9, None]}, "main/auc")
    with pytest.raises(InputError, match="undefined"):
        collect_comparison(["base"], "base", ["main/auc"], PAIRS, runs.fold)
    with pytest.raises(InputError, match="no metric 'main/acu'.*did you mean 'main/auc'"):
        collect_comparison(["base"], "base", ["main/acu"], PAIRS, runs.fold)


def test_one_pair_has_an_interval_without_width():
    assert bootstrap_interval(np.array([0.25])) == (0.25, 0.25)


def test_variants_through_the_command_and_into_the_report(work_dir, backbone):
    experiment = make_experiment("train.csv", backbone, train={"epochs": 1}, folds={"n_splits": 2})
    (work_dir / "e.toml").write_text(to_toml(experiment))
    common = ["--config", "e.toml", "--seeds", "3,4", "--folds", "1"]
    variants = ["--variant", "focal", "tasks.main.loss=focal", "tasks.main.focal_gamma=1.0"]
    metrics = ["--metrics", "main/auc,main/log_loss"]
    output = run_command("compare", *common, *variants, *metrics, cwd=work_dir)
    assert "2 variants, 2 pairs of seed and fold: 4 trainings" in output
    record = json.loads((work_dir / "outputs/tiny/comparison.json").read_text())
    assert record["pairs"] == [[3, 1], [4, 1]] and list(record["metrics"]) == metrics[1].split(",")
    for metric, results in record["metrics"].items():
        assert results["scores"]["focal"] != results["scores"]["baseline"]
        for variant, scores in results["scores"].items():
            for seed, score in zip((3, 4), scores, strict=True):
                run = work_dir / f"outputs/tiny_compare_{variant}_s{seed}"
                assert json.loads((run / "fold_1/metrics.json").read_text())[metric] == score
    runs = list((work_dir / "outputs").glob("tiny_compare_*"))
    assert len(runs) == 4
    assert len({(run / "folds.parquet").read_bytes() for run in runs}) == 1, "the same folds"
    other = [*variants[:-1], "tasks.main.focal_gamma=3.0"]
    message = refusal_of("compare", *common, *other, cwd=work_dir)
    assert "tiny_compare_focal_s3" in message, "a name stands for one variant"
    for step in ("make_folds", "train --fold all", "evaluate"):
        run_command(*step.split(), "--config", "e.toml", cwd=work_dir)
    report = (work_dir / "outputs/tiny/report.html").read_text()
    assert "Variants against baseline" in report


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (["focal"], "at least one KEY=VALUE"),
        (["tasks.main.weight=0"], "expected a name"),
        (["baseline", "train.warmup_ratio=0.2"], "baseline's name"),
        (
            ["a b", "train.warmup_ratio=0.2", "--variant", "a_b", "train.warmup_ratio=0.3"],
            "two variants would be trained as one",
        ),
        (["seeds", "seed=1"], "seed=1 is not a variant's to set"),
        (["named", "name=other"], "name=other is not a variant's to set"),
        (["größer", "train.warmup_ratio=0.2"], "name"),
        (["typo", "tasks.main.los=focal"], "did you mean 'loss'"),
    ],
)
def test_a_variant_that_is_none_is_refused_before_training(work_dir, backbone, variant, expected):
    (work_dir / "e.toml").write_text(to_toml(make_experiment("train.csv", backbone)))
    message = refusal_of("compare", "--config", "e.toml", "--variant", *variant, cwd=work_dir)
    assert expected in message
    assert not (work_dir / "outputs").exists()


def test_other_rows_and_unknown_metrics_are_refused_before_training(work_dir, backbone):
    (work_dir / "e.toml").write_text(to_toml(make_experiment("train.csv", backbone)))
    common = ("compare", "--config", "e.toml", "--variant", "more")
    message = refusal_of(*common, "folds.n_splits=3", "--folds", "0,0", cwd=work_dir)
    assert "variant more holds out other rows in fold 0 than baseline (20 and 30)" in message
    message = refusal_of(
        *common, "train.warmup_ratio=0.2", "--metrics", "main/auc, main/acu", cwd=work_dir
    )
    assert "no metric 'main/acu' (did you mean 'main/auc'?)" in message
    message = refusal_of(*common, "train.warmup_ratio=0.2", "--folds", "2", cwd=work_dir)
    assert "--folds 2: there are 0, 1" in message
    assert not list((work_dir / "outputs").glob("*/fold_*"))


def test_a_pair_counts_once():
    args = argparse.Namespace(seeds="3,3", folds="1,0,1")
    assert parse_pairs(args, make_experiment("t", "b")) == [(3, 1), (3, 0)]
