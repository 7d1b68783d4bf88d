"""A fold that could not select its checkpoints is refused before any fold is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.dry_run import plan_fold
from auxfold.training.fold import train_fold
from auxfold.training.selection_check import check_selection, split_and_check
from auxfold.training.split import create_folds
from commands import refusal_of, run_command
from conftest import WORDS, make_experiment

PROBLEM = (
    "selection.metric = 'main/auc' is undefined on the validation rows of folds 1 and 4 "
    "(they have only one class or one value)"
)


def write_rare(n_positives: int = 3) -> None:
    """40 different texts, of which a few are toxic."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, size=12)) for _ in range(40)]
    toxic = (np.arange(40) < n_positives).astype(int)
    frame = pd.DataFrame({"id": np.arange(40), "text": texts, "toxic": toxic})
    frame.to_csv("train.csv", index=False)


def make_rare(backbone: str = "b", **changes):
    changes = {"folds": {"n_splits": 5}, **changes}
    tasks = [{"name": "main", "kind": "binary", "columns": ["toxic"]}]
    return make_experiment("train.csv", backbone, tasks=tasks, **changes)


def refusal(experiment) -> str:
    table, folds = create_folds(experiment)
    with pytest.raises(InputError) as error:
        check_selection(experiment, TaskSet.from_experiment(experiment), table, folds)
    return str(error.value)


def test_the_largest_number_of_folds_that_works_is_named(work_dir, backbone):
    write_rare()
    expected = (
        f"{PROBLEM}; lower folds.n_splits to 3, choose another metric, or set "
        "selection.keep = 'last', which needs none"
    )
    experiment = make_rare(backbone)
    assert refusal(experiment) == expected
    for fold in (0, 4):  # fold 0 has a positive row itself
        with pytest.raises(InputError) as error:
            train_fold(experiment, fold)
        assert str(error.value) == expected
        with pytest.raises(InputError) as error:
            list(plan_fold(experiment, fold))
        assert str(error.value) == expected
    assert RunFolder.of(experiment).finished() == []


def test_three_folds_are_said_to_work_and_do(work_dir):
    write_rare()
    experiment = make_rare(folds={"n_splits": 3})
    table, folds = create_folds(experiment)
    assert np.bincount(folds[:3], minlength=3).tolist() == [1, 1, 1], "as even as possible"
    tasks = TaskSet.from_experiment(experiment)
    assert check_selection(experiment, tasks, table, folds) == ([], None)


def test_other_ways_out(work_dir):
    write_rare(n_positives=1)
    text = refusal(make_rare(name="one"))
    assert "of folds 1, 2, 3 and 4 " in text or "folds 0, " in text
    assert "n_splits" not in text, "no number of folds works"
    text = refusal(make_rare(name="split", folds={"validation": 0.2}, seed=1))
    assert "validation rows of fold 0 (" in text and "; validate on more rows, choose " in text
    text = refusal(make_rare(name="stop", selection={"keep": "last", "early_stopping": 2}))
    assert text.endswith("set selection.keep = 'last' and selection.early_stopping = 0, which "
                         "needs none")  # fmt: skip


def test_it_goes_on_where_no_checkpoint_depends_on_the_metric(work_dir, backbone):
    write_rare()
    experiment = make_rare(backbone, selection={"keep": "last"}, train={"epochs": 1})
    table, folds = create_folds(experiment)
    tasks = TaskSet.from_experiment(experiment)
    note = f"{PROBLEM}; no checkpoint depends on it, since selection.keep = 'last'"
    assert check_selection(experiment, tasks, table, folds) == ([1, 4], note)
    assert split_and_check(experiment, tasks, table, 0)[2] == []
    assert split_and_check(experiment, tasks, table, 4)[2] == [note]
    assert f"note       {note}" in list(plan_fold(experiment, 0))
    assert train_fold(experiment, 4).exists()


def test_commands_say_it_before_they_train(work_dir):
    write_rare()
    Path("e.toml").write_text(to_toml(make_rare()))
    output = run_command("make_folds", "--config", "e.toml", cwd=work_dir)
    assert f"warning: {PROBLEM}; lower folds.n_splits to 3, " in output
    text = refusal_of("train", "--config", "e.toml", "--fold", "0", "--dry-run",
                      "--set", "selection.metric=main/qwk", cwd=work_dir)  # fmt: skip
    assert "selection.metric = 'main/qwk' is unknown" in text
