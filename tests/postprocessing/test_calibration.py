"""Calibration finds what distorted the probabilities, and is measured on rows it has not seen."""

from __future__ import annotations

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from auxfold.postprocessing.calibration import (
    apply_calibrator,
    apply_isotonic,
    apply_temperature,
    evaluate_calibration,
    fit_calibrators,
    fit_isotonic,
    fit_temperature,
)
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.metrics import (
    class_log_loss,
    expected_calibration_error,
    log_loss,
    roc_auc,
)
from conftest import make_experiment

YES = {"name": "yes", "kind": "binary", "columns": ["y"], "main": True}
WHICH = {"name": "which", "kind": "multiclass", "columns": ["c"], "classes": 3}
MUCH = {"name": "much", "kind": "regression", "columns": ["r"]}


def task_of(settings: dict) -> Task:
    return TaskSet.from_experiment(make_experiment("t", "b", tasks=[settings])).main


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def overconfident(n: int = 6000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn by sigmoid(z), and probabilities sigmoid(2 z)."""
    random = np.random.default_rng(seed)
    z = random.normal(size=n) * 1.5 - 0.5
    return (random.random(n) < sigmoid(z)) * 1.0, sigmoid(2 * z)


def test_the_temperature_that_was_applied_is_found():
    task = task_of(YES)
    labels, values = overconfident()
    assert fit_temperature(task, labels, values[:, None]) == pytest.approx(2.0, rel=0.08)
    random = np.random.default_rng(1)
    z = random.normal(size=(6000, 3))
    which = task_of(WHICH)
    classes = [random.choice(3, p=p) for p in which.activate(z)]
    temperature = fit_temperature(which, np.array(classes, float), which.activate(0.5 * z))
    assert temperature == pytest.approx(0.5, rel=0.1)


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(seed=st.integers(0, 1000), soft=st.booleans())
def test_no_other_temperature_has_a_lower_loss(seed, soft):
    random = np.random.default_rng(seed)
    values = random.uniform(0.02, 0.98, size=40)
    labels = random.random(40) if soft else (random.random(40) < 0.4) * 1.0
    labels[:3] = [np.nan, 0.0, 1.0]
    task = task_of(YES)
    fitted = fit_temperature(task, labels, values[:, None])
    best = log_loss(labels, apply_temperature(task, values[:, None], fitted)[:, 0])
    for other in np.geomspace(0.05, 20, 60):
        assert (
            best <= log_loss(labels, apply_temperature(task, values[:, None], other)[:, 0]) + 1e-6
        )


def test_a_temperature_by_hand_keeps_the_order():
    task = task_of(YES)
    values = np.array([[0.1], [0.5], [0.9]])
    halved = apply_temperature(task, values, 2.0)[:, 0]
    np.testing.assert_allclose(halved, [1 / (1 + 3), 0.5, 3 / (1 + 3)])  # odds 1/9, 1, 9: roots
    labels, p = overconfident(500)
    assert roc_auc(labels, apply_temperature(task, p[:, None], 3.3)[:, 0]) == roc_auc(labels, p)
    assert fit_temperature(task, np.ones(5), np.full((5, 1), 0.7)) == 1.0
    assert fit_temperature(task, np.full(5, np.nan), np.full((5, 1), 0.7)) == 1.0


def test_isotonic_is_scikit_learns_and_lives_without_it():
    labels, values = overconfident(300)
    labels[:20] = np.nan
    knots = fit_isotonic(labels, values)
    edge = 0.5 / 280
    model = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    model.fit(values[20:], labels[20:])
    new = np.concatenate([np.linspace(0, 1, 101), values])
    np.testing.assert_allclose(apply_isotonic(new, knots), model.predict(new), atol=1e-12)
    assert (np.diff(apply_isotonic(np.sort(new), knots)) >= 0).all()
    knots = fit_isotonic(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))
    certain = apply_isotonic(np.array([0.0, 1.0]), knots)
    assert certain.tolist() == [0.125, 0.875], "half of one of four rows"
    assert fit_isotonic(np.array([np.nan]), np.array([0.3])) == {"x": [0.0, 1.0], "y": [0.0, 1.0]}


def calibration_data() -> tuple[TaskSet, np.ndarray, pd.DataFrame, np.ndarray]:
    """All three kinds in one experiment, binary and multi-class predictions overconfident."""
    random = np.random.default_rng(2)
    labels, values = overconfident(1200)
    tasks = TaskSet.from_experiment(make_experiment("t", "b", tasks=[YES, WHICH, MUCH]))
    which = tasks.by_name["which"]
    z = random.normal(size=(1200, 3))
    classes = np.array([random.choice(3, p=p) for p in which.activate(z)], float)
    class_predictions = which.activate(3 * z)
    oof = pd.DataFrame({"y": values, "r": values})
    oof[which.prediction_columns] = class_predictions
    return tasks, np.stack([labels, classes, labels], 1), oof, np.arange(1200) % 4


def test_what_calibration_brings_is_that_of_the_other_folds():
    tasks, labels, oof, folds = calibration_data()
    scores = evaluate_calibration(tasks, labels, oof, folds)
    assert list(scores) == ["y", "c"], "a regression has nothing to calibrate"
    assert list(scores["c"]["log_loss"]) == ["raw", "temperature"]
    nested = np.empty((1200, 1))
    for fold in range(4):
        in_fold = folds == fold
        knots = fit_isotonic(labels[~in_fold, 0], oof["y"].to_numpy()[~in_fold])
        nested[in_fold, 0] = apply_isotonic(oof["y"].to_numpy()[in_fold], knots)
    assert scores["y"]["log_loss"]["isotonic"] == log_loss(labels[:, 0], nested[:, 0])
    assert scores["y"]["ece"]["isotonic"] == expected_calibration_error(labels[:, 0], nested[:, 0])
    for column in ("y", "c"):
        column_scores = scores[column]
        assert column_scores["log_loss"]["temperature"] < column_scores["log_loss"]["raw"]
        assert column_scores["ece"]["temperature"] < column_scores["ece"]["raw"] / 2
        assert (
            len(column_scores["curves"]["raw"][0]) == len(column_scores["curves"]["raw"][1]) <= 10
        )
    raw = oof[tasks.by_name["which"].prediction_columns].to_numpy()
    assert scores["c"]["log_loss"]["raw"] == class_log_loss(labels[:, 1], raw)


def test_fits_on_all_rows_are_what_json_can_hold():
    tasks, labels, oof, _ = calibration_data()
    calibrators = fit_calibrators(tasks, labels, oof)
    assert list(calibrators) == ["y", "c"] and list(calibrators["c"]) == ["temperature"]
    y = oof[["y"]].to_numpy()
    assert calibrators["y"]["temperature"] == fit_temperature(tasks.main, labels[:, 0], y)
    np.testing.assert_array_equal(
        apply_calibrator(tasks.main, y, calibrators["y"]["isotonic"], "isotonic")[:, 0],
        apply_isotonic(y[:, 0], calibrators["y"]["isotonic"]),
    )
    assert all(type(v) is float for v in calibrators["y"]["isotonic"]["x"])
