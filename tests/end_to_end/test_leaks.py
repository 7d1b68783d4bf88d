"""Nothing that is fitted for a fold depends on its validation rows.

A marker is planted in these rows: other labels, identities, weights, counts, texts and ids, and
more rows. Whatever is learned from the rows to train on stays the same. For the weights of a blend,
tests/blending/test_nested.py does the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import Experiment
from auxfold.data.loading import read_training_table
from auxfold.data.table import Table
from auxfold.evaluation.baseline import tfidf_out_of_fold
from auxfold.postprocessing import calibration, cut_points, thresholds
from auxfold.postprocessing.fitting import evaluate_postprocess
from auxfold.tasks import TaskSet
from auxfold.training import build, fold
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import WORDS, load_tensors, make_experiment

# One experiment with everything that is fitted on rows.
TASKS = [
    {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True,
     "pos_weight": "balanced", "divide_by_weight_sum": True},
    {"name": "bins", "kind": "binary", "columns": ["share"], "loss": "binned"},
    {"name": "number", "kind": "regression", "columns": ["score"]},
    {"name": "mood", "kind": "multiclass", "columns": ["mood"], "class_weight": "balanced",
     "classes": ["bad", "fine", "good"]},
    {"name": "stars", "kind": "ordinal", "columns": ["stars"], "classes": ["1", "2", "3"],
     "class_weight": "sqrt_balanced"},
]  # fmt: skip
SETTINGS = {
    "tasks": TASKS,
    "folds": {"validation": "data.split"},
    "identities": {"columns": ["identity"]},
    "sample_weights": {
        "scheme": ["identity_strict", "annotators", "column"], "annotators": "n", "column": "w"
    },
    "train": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2, "precision": "fp32",
              "sampling": "sqrt"},
    "selection": {"keep": "last"},
}  # fmt: skip


def make_rows(rows: int, part: str, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"{part}{seed}_{number}" for number in range(rows)],
            "text": [" ".join(random.choice(WORDS, size=8)) for _ in range(rows)],
            "toxic": random.random(rows) < 0.4,
            "share": random.random(rows).round(2),
            "score": random.normal(size=rows).round(2),
            "mood": random.choice(["bad", "fine", "good"], size=rows),
            "stars": random.choice([1, 2, 3], size=rows),
            "identity": random.random(rows).round(2),
            "n": np.where(random.random(rows) < 0.3, np.nan, random.integers(1, 9, rows)),
            "w": random.random(rows).round(2),
            "part": part,
        }
    ).astype({"toxic": int})


def make_marked_rows(rows: int) -> pd.DataFrame:
    """Validation rows with numbers that would show in every mean."""
    return make_rows(rows, "dev", 99).assign(
        text="silly goose", toxic=1, share=0.99, score=1000.0, mood="good", stars=3, identity=1.0,
        n=1e6, w=1e4,
    )  # fmt: skip


def train_with(
    validation: pd.DataFrame,
    backbone: str,
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
    **train: object,
) -> dict[str, object]:
    """Train on two sources, each with some of the validation rows in front of its own.

    Args:
        validation: the rows to validate on.
        backbone: the backbone.
        change: changes the rows to train on.
        train: settings of ``[train]``.

    Returns:
        Everything of the trained fold: its weights, and its configuration with scales.
    """
    for number, rows in enumerate((24, 16)):
        parts = [validation.iloc[number::2], change(make_rows(rows, "train", number))]
        pd.concat(parts).to_csv(f"source{number}.csv", index=False)
    sources = [{"path": f"source{number}.csv", "name": f"s{number}"} for number in (0, 1)]
    experiment = make_experiment(
        "", backbone, **{**SETTINGS, "train": {**SETTINGS["train"], **train}},
        data={"train": sources, "split": "part"},
    )  # fmt: skip
    create_folds(experiment, overwrite=True)
    path = train_fold(experiment, 0, overwrite=True).path
    weights = {name: tensor.numpy().tobytes() for name, tensor in load_tensors(path).items()}
    return {**weights, "config": json.loads((path / "config.json").read_text())}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, backbone) -> dict[str, object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("plain"))
        return train_with(make_rows(10, "dev", 7), backbone)


def test_a_trained_fold_is_the_same_whatever_its_validation_rows_hold(
    trained, tmp_path: Path, monkeypatch, backbone
):
    monkeypatch.chdir(tmp_path)
    assert train_with(make_marked_rows(30), backbone) == trained


@pytest.mark.parametrize("thing", ["main", "number", "mood", "stars", "heads", "weights"])
def test_the_marker_shows_where_one_thing_is_fitted_on_all_rows(
    trained, tmp_path: Path, monkeypatch, backbone, thing
):
    """Weights of positives and classes, standardization, rates of heads, weights of rows."""
    monkeypatch.chdir(tmp_path)
    leaky, build_fold = fit_on_all_rows(thing), fold.build_fold

    def build_and_leak(experiment, tasks, table, *arguments):
        with pytest.MonkeyPatch.context() as patch:
            leaky(patch, table)
            return build_fold(experiment, tasks, table, *arguments)

    monkeypatch.setattr(fold, "build_fold", build_and_leak)
    assert train_with(make_marked_rows(30), backbone) != trained


def fit_on_all_rows(thing: str) -> Callable[[pytest.MonkeyPatch, Table], None]:
    """What patches the fit of one task, of heads or of weights, so that it has all rows."""
    fit, initialize_heads = TaskSet.fit, build.initialize_heads
    fit_weights = build.fit_sample_weights

    def patch_fit(patch: pytest.MonkeyPatch, table: Table) -> None:
        def fit_one(self: TaskSet, labels: np.ndarray) -> TaskSet:
            leaky, honest = fit(self, table.labels), fit(self, labels)
            return TaskSet(
                (leaky if task.name == thing else honest).by_name[task.name] for task in self
            )

        patch.setattr(TaskSet, "fit", fit_one)

    def patch_heads(patch: pytest.MonkeyPatch, table: Table) -> None:
        def initialize(*arguments: object) -> None:
            initialize_heads(*arguments[:-1], table.labels)

        patch.setattr(build, "initialize_heads", initialize)

    def patch_weights(patch: pytest.MonkeyPatch, table: Table) -> None:
        def fit_all(experiment: Experiment, table: Table, _: np.ndarray) -> Table:
            return fit_weights(experiment, table, np.arange(len(table)))

        patch.setattr(build, "fit_sample_weights", fit_all)

    return {"heads": patch_heads, "weights": patch_weights}.get(thing, patch_fit)


@pytest.mark.parametrize(
    "train", [{"sampling": "size", "negative_sample_rate": 0.5}, {"sampling": "temperature"}]
)
def test_the_rows_of_an_epoch_are_sampled_from_the_rows_to_train_on(
    tmp_path: Path, monkeypatch, backbone, train
):
    """An epoch has half of the rows with only zero labels, or balanced sources."""
    monkeypatch.chdir(tmp_path)
    steps, take_step = [], fold.FoldTrainer.take_step

    def take_step_and_record(self, indices):
        steps.append(self.table.ids[indices].tolist())
        take_step(self, indices)

    monkeypatch.setattr(fold.FoldTrainer, "take_step", take_step_and_record)
    for validation in (make_rows(10, "dev", 7), clear_labels(make_marked_rows(30))):
        train_with(validation, backbone, clear_half_of_the_labels, **train)
    half = len(steps) // 2
    assert half > 2 and steps[:half] == steps[half:]


def clear_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with only zero labels."""
    return frame.assign(toxic=0, share=0.0, score="", mood="", stars="")


def clear_half_of_the_labels(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame[::2].astype(object), clear_labels(frame[1::2])])


# Labels of a fold: what its rows are processed by is fitted on the other folds.
NESTED_TASKS = [
    {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
    {"name": "mood", "kind": "multiclass", "columns": ["mood"], "classes": ["bad", "fine", "good"]},
    {"name": "stars", "kind": "ordinal", "columns": ["stars"], "classes": ["1", "2", "3"]},
]


def process_nested(monkeypatch, tasks: TaskSet, labels: np.ndarray, oof, folds) -> list[np.ndarray]:
    """What thresholds, calibration and cut points make of the predictions, one after the other."""
    processed = []
    for module in (calibration, cut_points, thresholds):

        def apply_and_record(*args, original=module.apply_nested, **kwargs):
            processed.append(original(*args, **kwargs))
            return processed[-1]

        monkeypatch.setattr(module, "apply_nested", apply_and_record)
    evaluate_postprocess(tasks, labels, oof, folds, [0.6])
    monkeypatch.undo()
    return processed


def test_thresholds_calibration_and_cut_points_of_a_fold_do_not_know_its_labels(monkeypatch):
    random, rows = np.random.default_rng(0), 120
    experiment = make_experiment("t", "b", tasks=NESTED_TASKS)
    tasks, folds = TaskSet.from_experiment(experiment), np.arange(rows) % 3
    labels = np.stack([random.integers(0, n, rows) for n in (2, 3, 3)], axis=1).astype(np.float32)
    noise = random.normal(size=(rows, 7)).astype(np.float32)
    truth = (labels[:, [0, 1, 1, 1, 2, 2, 2]] == [1, 0, 1, 2, 0, 1, 2]).astype(np.float32)
    logits = np.split(noise + truth, [1, 4], axis=1)
    predictions = {t.name: t.activate(values) for t, values in zip(tasks, logits, strict=True)}
    oof = tasks.prediction_frame("id", np.arange(rows), predictions)
    before = process_nested(monkeypatch, tasks, labels, oof, folds)
    in_fold = folds == 1
    marked = np.where(in_fold[:, None], np.float32([1, 2, 2]), labels)
    after = process_nested(monkeypatch, tasks, marked, oof, folds)
    assert len(before) == len(after) == 2 + 1 + 4, "f1, precision, cut points, calibration"
    for values, marked_values in zip(before, after, strict=True):
        np.testing.assert_array_equal(values[in_fold], marked_values[in_fold])
    changed = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert all(changed), "the other folds know these labels"


def test_the_baseline_of_a_fold_does_not_know_its_labels_and_weights(tmp_path, monkeypatch):
    """Its texts are no part of the vocabulary, either; they only change the order of sums."""
    monkeypatch.chdir(tmp_path)
    rows = make_rows(60, "train", 1)
    settings = {name: SETTINGS[name] for name in ("tasks", "identities", "sample_weights")}
    folds = np.arange(60) % 3
    in_fold = folds == 1

    def predict(frame: pd.DataFrame) -> np.ndarray:
        frame.to_csv("train.csv", index=False)
        experiment = make_experiment("train.csv", "b", **settings)
        table, tasks = read_training_table(experiment), TaskSet.from_experiment(experiment)
        return tfidf_out_of_fold(experiment, tasks, table, folds).to_numpy()

    marked = rows.astype(object)
    columns = ["toxic", "share", "score", "mood", "stars", "identity", "n", "w"]
    marked.loc[in_fold, columns] = make_marked_rows(20)[columns].to_numpy()
    before, after = predict(rows), predict(marked)
    np.testing.assert_array_equal(before[in_fold], after[in_fold])
    assert (before[~in_fold] != after[~in_fold]).any(axis=0).all()
    marked.loc[np.flatnonzero(in_fold)[1:], "text"] = "zebra xylophone unheard words"
    np.testing.assert_allclose(before[1], predict(marked)[1], atol=1e-3)
