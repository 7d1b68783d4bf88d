"""Folds that were made with other settings or from other rows are refused with what differs."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.storage.atomic import write_frame, write_text
from auxfold.storage.folds import check_folds
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import RunFolder
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame


@pytest.fixture
def folder(work_dir) -> RunFolder:
    experiment = make_experiment("train.csv", "b")
    create_folds(experiment)
    return RunFolder.of(experiment)


def test_every_setting_that_differs_is_named_as_in_the_experiment_file(folder):
    current = make_experiment(
        "train.csv", "b", folds={"n_splits": 5, "group_duplicates": False}, data={"group": "threat"}
    )
    message = (
        "outputs/tiny/folds.parquet was made with folds.n_splits = 2, you gave 5; "
        "folds.group_duplicates = true, you gave false; "
        'data.group = nothing, you gave "threat"; '
    )
    remedy = "make new folds with make_folds.py --overwrite (and train every fold again)"
    with pytest.raises(InputError) as refusal:
        check_folds(folder, current)
    assert str(refusal.value) == message + remedy
    write_text(folder.experiment, to_toml(make_experiment("train.csv", "b")))
    with pytest.raises(InputError) as refusal:
        create_folds(current)
    assert str(refusal.value) == f"{message}use --run tiny, or {remedy}"


def test_a_seed_is_called_as_it_was_given(folder):
    with pytest.raises(InputError, match="made with seed = 42, you gave 7; "):
        check_folds(folder, make_experiment("train.csv", "b", seed=7))
    with pytest.raises(InputError, match=r"made with folds.seed = 42, you gave 7; "):
        check_folds(folder, make_experiment("train.csv", "b", folds={"seed": 7}))
    check_folds(folder, make_experiment("train.csv", "b", seed=7, folds={"seed": 42}))


def test_a_record_without_a_key_has_its_default(folder):
    record = json.loads(folder.folds_info.read_text())
    del record["group_duplicates"]
    write_record(folder.folds_info, record)
    check_folds(folder, make_experiment("train.csv", "b"))
    with pytest.raises(InputError, match="folds.group_duplicates = true, you gave false"):
        check_folds(folder, make_experiment("train.csv", "b", folds={"group_duplicates": False}))


def test_labels_that_are_read_in_another_way_are_named(folder):
    stored = make_experiment("train.csv", "b")
    write_text(folder.experiment, to_toml(stored))
    tasks = [task.model_dump(mode="json", exclude_none=True) for task in stored.tasks]
    reordered = [tasks[0], {**tasks[1], "columns": ["threat", "insult"], "loss": "focal"}]
    with pytest.raises(InputError) as refusal:
        create_folds(make_experiment("train.csv", "b", tasks=reordered, train={"epochs": 9}))
    assert str(refusal.value) == (
        'outputs/tiny/folds.parquet was made with tasks.aux.columns = ["insult", "threat"], you '
        'gave ["threat", "insult"]; use --run tiny, or '
        "make new folds with make_folds.py --overwrite (and train every fold again)"
    )
    swapped = make_experiment("train.csv", "b", tasks=[tasks[1], {**tasks[0], "main": True}])
    with pytest.raises(InputError, match="was made with the tasks in another order; use --run"):
        create_folds(swapped)
    make_frame(seed=3).to_csv("train.csv", index=False)
    other_loss = [tasks[0], {**tasks[1], "loss": "focal"}]
    with pytest.raises(InputError, match="from other rows than train.csv has now"):
        create_folds(make_experiment("train.csv", "b", tasks=other_loss))


def test_other_rows_are_refused(folder):
    pd.concat([make_frame(), make_frame(1, seed=9).assign(id="new")]).to_csv(
        "train.csv", index=False
    )
    with pytest.raises(InputError, match="was made from other rows than train.csv has now; put"):
        create_folds(make_experiment("train.csv", "b"))


def test_folds_that_lack_a_row_or_have_a_foreign_fold_are_refused(folder):
    """In a folder without checksums, which an earlier version or another program wrote."""
    experiment = make_experiment("train.csv", "b")
    (folder.path / "checksums.json").unlink()
    folds = pd.read_parquet(folder.folds)
    remedy = "make new folds with make_folds.py --overwrite (and train every fold again)"
    other_id = folds.assign(id=["x", *folds["id"][1:]])
    for frame, problem in (
        (folds[3:], f"lacks 3 of 60 rows, the first of them {folds['id'][0]!r}"),
        (other_id, f"lacks 1 of 60 rows, the first of them {folds['id'][0]!r}"),
        (pd.concat([folds, folds[:2]]), "has 62 rows, and the table has 60"),
        (folds.assign(fold=[2, *folds["fold"][1:]]), f"has row {folds['id'][0]!r} in fold 2, which "
         "is not a fold of the experiment (0 to 1)"),
        (folds.assign(fold=[-1, *folds["fold"][1:]]), f"has row {folds['id'][0]!r} in fold -1, "
         "which is not a fold of the experiment (0 to 1)"),
    ):  # fmt: skip
        write_frame(folder.folds, frame)
        with pytest.raises(InputError) as refusal:
            create_folds(experiment)
        assert str(refusal.value) == f"outputs/tiny/folds.parquet {problem}; {remedy}"
    write_frame(folder.folds, folds.sample(frac=1, random_state=1))
    assert create_folds(experiment)[1].tolist() == folds["fold"].tolist(), "the order is no matter"


def test_damaged_folds_are_refused_by_name(folder):
    experiment = make_experiment("train.csv", "b")
    expected = create_folds(experiment)[1]
    for path in (folder.folds, folder.folds_info):
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        for damaged, problem in ((content[:-9], "cut off"), (b"", "empty"), (flipped, "changed")):
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=f"{path} .*{problem}.* or make new folds with"):
                create_folds(experiment)
        path.write_bytes(content)
        create_folds(experiment)
    folder.folds.write_bytes(b"")
    assert create_folds(experiment, overwrite=True)[1].tolist() == expected.tolist()
