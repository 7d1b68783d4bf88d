"""``folds.validation``: one split instead of folds, and groups of labels, through the commands."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import to_toml
from auxfold.data.folds import make_validation_split
from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from auxfold.training.split import create_folds, split
from commands import run_command
from conftest import WORDS, make_experiment, make_frame


@pytest.mark.parametrize(("rows", "expected"), [(0.25, 50), (30, 30), (1, 1)])
def test_a_share_or_a_number_of_rows(work_dir, backbone, rows, expected):
    frame = make_frame(200)
    frame["text"] = [f"{text} {number}" for number, text in enumerate(frame["text"])]
    frame.to_csv("train.csv", index=False)
    experiment = make_experiment("train.csv", backbone, folds={"validation": rows})
    table, folds = create_folds(experiment)
    train, valid = split(experiment, table, 0)
    assert len(valid) == expected and len(train) == 200 - expected
    assert set(folds) == {-1, 0}
    if expected == 50:  # toxic is as frequent in both
        toxic = table.labels[:, 0] >= 0.5
        assert abs(toxic[valid].sum() - toxic.sum() / 4) <= 1
    with pytest.raises(InputError, match="--fold 1: the one split is fold 0"):
        split(experiment, table, 1)


def test_equal_texts_stay_on_one_side(work_dir, backbone):
    frame = make_frame(40)
    pd.concat([frame, frame.assign(id=frame["id"] + "b")]).to_csv("train.csv", index=False)
    table = read_training_table(make_experiment("train.csv", backbone))
    folds = make_validation_split(table, table.labels, 20, True, seed=3)
    by_text = pd.Series(folds).groupby(list(table.texts[0])).nunique()
    assert (by_text == 1).all() and (folds == 0).sum() == 20


@pytest.mark.parametrize("validation", [0.0, 1.0, 0, -3, True, ""])
def test_what_is_no_split_is_refused(backbone, validation):
    with pytest.raises(InputError, match="takes a file, a share between 0 and 1, or a number"):
        make_experiment("train.csv", backbone, folds={"validation": validation})


def test_more_rows_than_there_are(work_dir, backbone):
    with pytest.raises(InputError, match="folds.validation = 60 leaves none of 60 rows"):
        create_folds(make_experiment("train.csv", backbone, folds={"validation": 60}))


def test_a_file_with_an_id_of_the_training_file_is_refused(work_dir, backbone):
    make_frame(5).to_csv("dev.csv", index=False)
    pd.read_csv("train.csv").head(3).to_csv("dev.csv", index=False)
    experiment = make_experiment("train.csv", backbone, folds={"validation": "dev.csv"})
    with pytest.raises(InputError, match="is in train.csv and in dev.csv"):
        read_training_table(experiment)


def test_groups_of_labels_validated_on_a_file_through_the_scripts(work_dir, backbone):
    random = np.random.default_rng(0)

    def rows(n):
        texts = [" ".join(random.choice(WORDS, size=8)) for _ in range(n)]
        return [
            {"text": t, "text_pair": "soup", "weight": [1.0, 0.5],
             "labels": [int("goose" in t), int(random.integers(3))]} for t in texts
        ]  # fmt: skip

    for name, n in (("rows", 60), ("dev", 30)):
        (work_dir / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows(n)))
    data = {"train": "rows.jsonl", "group_sizes": [2, 3], "text": ["text", "text_pair"],
            "sample_weight": "weight", "id": ""}  # fmt: skip
    tasks = [
        {"name": f"labels_{k}", "kind": "multiclass", "columns": [f"labels_{k}"], "classes": n,
         "main": k == 0} for k, n in enumerate((2, 3))
    ]  # fmt: skip
    experiment = make_experiment(
        "rows.jsonl", backbone, data=data, tasks=tasks, folds={"validation": "dev.jsonl"},
        selection={"metric": "f1"}, tracking={"show_per_group_metrics": False},
    )  # fmt: skip
    (work_dir / "e.toml").write_text(to_toml(experiment))
    output = run_command("make_folds", "--config", "e.toml", cwd=work_dir)
    assert "90 rows of rows.jsonl + dev.jsonl" in output and "train" in output.splitlines()[-2]
    run_command("train", "--config", "e.toml", "--fold", "all", cwd=work_dir)
    table = run_command("evaluate", "--config", "e.toml", cwd=work_dir)
    assert "f1_std" in table and "labels_1/f1" not in table
    record = json.loads((work_dir / "outputs/tiny/cv.json").read_text())
    assert record["rows"] == 30 and len(record["folds"]) == 1
    oof = record["oof"]
    for name in ("accuracy", "balanced_accuracy", "precision", "f0.5", "auroc"):
        both = [oof[f"labels_{k}/{name}"] for k in range(2)]
        assert oof[name] == pytest.approx(np.mean(both))
        assert oof[f"{name}_std"] == pytest.approx(np.std(both))
    assert record["std"]["f1"] is None, "one split has no deviation"
    assert len(pd.read_parquet(work_dir / "outputs/tiny/oof.parquet")) == 30
    run_command("inference", "--config", "e.toml", "--all-tasks", "--input", "dev.jsonl",
                "--output", "out.csv", cwd=work_dir)  # fmt: skip
    files = ("--labels", "dev.jsonl", "--predictions", "out.csv")
    output = run_command("evaluate", "--config", "e.toml", "--metric", "f1", *files, "--json",
                         cwd=work_dir)  # fmt: skip
    assert json.loads(output)["f1"] == pytest.approx(oof["f1"], abs=1e-6)
    page = (work_dir / "outputs/tiny/report.html").read_text()
    assert "validated on dev.jsonl" in page
