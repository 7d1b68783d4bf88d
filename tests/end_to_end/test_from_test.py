"""The config of Jigsaw 2025 on generated rows: examples of the test file are trained on only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.blending.members import Member
from auxfold.cli.blend import load_rows
from auxfold.config.experiment import Experiment, load_experiment, to_toml
from auxfold.storage.run_folder import RunFolder
from commands import refusal_of_script, run_command, run_script
from conftest import make_backbone

CONFIG = Path(__file__).parents[2] / "configs/jigsaw_2025.toml"
FILES = "input/jigsaw-agile-community-rules"
TINY = ("model.max_length=64", "data.fields.rule=16", "folds.n_splits=2", "train.epochs=1",
        "train.precision=fp32", "tracking.wandb=off")  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Experiment:
    """The experiment, after every command has run in the working directory."""
    folder = tmp_path_factory.mktemp("rules")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        backbone = make_backbone(folder / "backbone", "modernbert")
        run_script("make_sample", "--competition", "jigsaw_2025", "--output", FILES,
                   "--rows", "120", "--test-rows", "60")  # fmt: skip
        experiment = load_experiment(CONFIG, [*TINY, f"model.backbone={backbone}"])
        Path("e.toml").write_text(to_toml(experiment))
        for command in ("make_folds", "train", "evaluate", "inference"):
            options = ("--fold", "all") if command == "train" else ()
            Path(f"{command}.txt").write_text(
                run_command(command, "--config", "e.toml", *options, cwd=folder)
            )
        yield experiment


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(f"{FILES}/{name}")


def test_the_log_counts_the_examples_and_what_was_left_out(trained):
    test, train = read("test.csv"), read("train.csv")
    examples = pd.concat(
        test[["rule", f"{kind}_example_{n}"]].set_axis(["rule", "body"], axis=1).assign(y=label)
        for kind, label in (("positive", 1), ("negative", 0))
        for n in (1, 2)
    )
    known = examples.merge(train[["rule", "body"]].drop_duplicates())
    new = examples[~examples.set_index(["rule", "body"]).index.isin(
        train.set_index(["rule", "body"]).index)].drop_duplicates()  # fmt: skip
    repeated = len(examples) - len(known) - len(new)
    assert len(known) > 10 and repeated > 50
    lines = Path("make_folds.txt").read_text().splitlines()
    assert (
        f"{FILES}/test.csv (data.from_test): {len(new)} of 240 examples are rows that every fold "
        f"trains on and none validates on; {len(known)} have the texts of a training row, and "
        f"{repeated} repeat an example with the same labels"
    ) in lines
    folds = pd.read_parquet(RunFolder.of(trained).folds)
    is_example = folds["id"].str.startswith("from_test/")
    assert is_example.sum() == len(new) and (folds.loc[is_example, "fold"] == -1).all()
    assert sorted(folds.loc[~is_example, "id"].astype(int)) == [*range(120)]
    for fold in (0, 1):
        run = json.loads(RunFolder.of(trained).fold(fold).run.read_text())
        n_valid = int((folds["fold"] == fold).sum())
        assert run["rows"] == {"train": 120 - n_valid + len(new), "valid": n_valid}


def test_out_of_fold_scores_are_of_training_rows_only(trained):
    oof = pd.read_parquet(RunFolder.of(trained).path / "oof.parquet")
    assert sorted(oof["row_id"].astype(int)) == [*range(120)]
    assert json.loads((RunFolder.of(trained).path / "cv.json").read_text())["rows"] == 120


def test_the_submission_has_every_test_row(trained):
    submission = pd.read_csv(RunFolder.of(trained).path / "submission.csv")
    sample = read("sample_submission.csv")
    assert list(submission) == ["row_id", "rule_violation"]
    assert submission["row_id"].tolist() == sample["row_id"].tolist()
    assert np.isfinite(submission["rule_violation"]).all()
    assert submission["rule_violation"].between(0, 1).all()


def test_a_blend_is_fitted_on_training_rows_only(trained):
    table, folds = load_rows(Member.load(trained.name))
    assert sorted(table.ids.astype(int)) == [*range(120)] and set(folds) == {0, 1}


def test_folds_of_another_test_file_are_refused(trained, capsys, tmp_path):
    path = Path(f"{FILES}/test.csv")
    content = path.read_bytes()
    try:
        read("test.csv").assign(positive_example_1="A new comment.").to_csv(path, index=False)
        line = refusal_of_script(
            capsys, "train", "--config", "e.toml", "--fold", "0", "--overwrite"
        )
    finally:
        path.write_bytes(content)
    assert "was made from other rows than" in line and "test.csv (data.from_test)" in line
