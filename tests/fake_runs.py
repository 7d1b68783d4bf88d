"""Finished runs without a model: their out-of-fold predictions are the labels plus noise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from auxfold.blending.candidates import Candidates, join_members
from auxfold.blending.members import Member
from auxfold.blending.nested import FittedMethod, fit_methods
from auxfold.blending.options import METHODS, BlendOptions
from auxfold.blending.single_runs import best_single_run, score_single_runs
from auxfold.config.experiment import Experiment, to_toml
from auxfold.data.table import Table
from auxfold.storage.atomic import write_frame, write_text
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.split import create_folds
from conftest import make_experiment


def write_fake_run(
    experiment: Experiment, noise: float, seed: int, shuffle: bool = False
) -> np.ndarray:
    """Write the folder of a run whose predictions are the labels plus noise; return the folds."""
    table, folds = create_folds(experiment)
    random, tasks, predictions = (
        np.random.default_rng(seed),
        TaskSet.from_experiment(experiment),
        {},
    )
    for task, columns in tasks.items():
        labels = np.nan_to_num(table.labels[:, columns], nan=0.3)
        if task.class_names and labels.shape[1] == 1:  # otherwise a share per class
            labels = np.eye(task.n_outputs)[labels[:, 0].astype(int)]
        logits = 3 * (labels - 0.5) + noise * random.normal(size=labels.shape)
        predictions[task.name] = task.activate(logits)
    order = random.permutation(len(table)) if shuffle else np.arange(len(table))
    frame = tasks.prediction_frame("id", table.ids, predictions)
    for fold in range(experiment.folds.n_splits):
        folder = RunFolder.of(experiment).fold(fold)
        indices = order[folds[order] == fold]
        write_text(folder.experiment, to_toml(experiment))
        write_frame(folder.oof, frame.iloc[indices])
        write_record(folder.run, {"experiment_fingerprint": experiment.fingerprint(),
                                "data_fingerprint": table.fingerprint()})  # fmt: skip
    return folds


def make_labeled_table(labels: np.ndarray) -> Table:
    """A table of empty texts with these labels, ``(rows,)`` or ``(rows, label columns)``."""
    rows = len(labels)
    return Table(
        path="generated",
        ids=np.array([str(number) for number in range(rows)], dtype=object),
        texts=[[""] * rows],
        labels=labels.reshape(rows, -1).astype(np.float32),
        sample_weights=np.ones(rows, dtype=np.float32),
        task_weights={},
        groups=None,
        identities=np.empty((rows, 0), dtype=np.float32),
    )


def write_three_runs(**changes: Any) -> list[Member]:
    """Runs a, b and c with growing noise, each in another order of rows, c with other folds."""
    for name, noise, run_changes in (
        ("a", 2.5, {}),
        ("b", 3.0, {"model": {"backbone": "x"}}),
        ("c", 4.0, {"seed": 9, "folds": {"n_splits": 3}}),
    ):
        all_changes: dict[str, Any] = {"folds": {"n_splits": 4}, **run_changes, **changes}
        experiment = make_experiment("train.csv", "b", name=name, **all_changes)
        write_fake_run(experiment, noise, ord(name), shuffle=name != "a")
    return [Member.load(name) for name in "abc"]


def join_fake_runs(members: list[Member], metric: str | None = None) -> Candidates:
    """The runs as candidates on the rows and folds of the first one."""
    table, folds = create_folds(members[0].experiment)
    return join_members(members, table, folds, metric)


def fit_by_name(
    candidates: Candidates,
    methods: Iterable[str] = METHODS,
    options: BlendOptions = BlendOptions(draws=0),  # noqa: B008, it is frozen
) -> dict[str, FittedMethod]:
    """Method name to the method, fitted and compared with the best single run."""
    names = [f"run {number}" for number in range(candidates.n_members)]
    best = best_single_run(candidates, score_single_runs(candidates, names))
    fitted = fit_methods(candidates, list(methods), best, options)
    return {method.method: method for method in fitted}


# One task of each kind, on the columns of the fixture `competition`.
TASKS_OF_EACH_KIND: list[dict[str, Any]] = [
    {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
    {"name": "mood", "kind": "multiclass", "columns": ["mood"], "classes": ["bad", "fine", "good"]},
    {"name": "score", "kind": "regression", "columns": ["score"]},
]
