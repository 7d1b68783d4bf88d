"""Folds that are missing, of other settings or of other rows are refused with what differs."""

from __future__ import annotations

import pytest

from auxfold.config.experiment import Experiment, to_toml
from auxfold.errors import InputError
from auxfold.storage.atomic import write_text
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.storage.trained import check_together, check_trained_with, trained_folds
from conftest import make_experiment


def finish(experiment: Experiment, fold: int, data: str = "rows") -> FoldFolder:
    """What a finished training leaves, without a model."""
    folder = RunFolder.of(experiment).fold(fold)
    write_text(folder.experiment, to_toml(experiment))
    write_record(folder.run, {"data_fingerprint": data})
    return folder


@pytest.fixture
def experiment(work_dir) -> Experiment:
    return make_experiment("train.csv", "b")


def test_other_settings_are_named_before_folds_are_missing(experiment):
    for fold in (0, 1):
        finish(experiment, fold)
    current = make_experiment("train.csv", "b", folds={"n_splits": 5})
    with pytest.raises(InputError) as refusal:
        trained_folds(RunFolder.of(current), [0, 1, 2, 3, 4], current)
    assert str(refusal.value) == (
        "outputs/tiny/fold_0 was trained with folds.n_splits = 2, you gave 5; "
        "use --config outputs/tiny/fold_0/experiment.toml, or train again with --overwrite"
    )
    write_text(RunFolder.of(current).experiment, to_toml(experiment))
    with pytest.raises(InputError, match="you gave 5; use --run tiny, or train again"):
        trained_folds(RunFolder.of(current), [0, 1, 2, 3, 4], current)
    write_text(RunFolder.of(current).experiment, to_toml(current))  # of new folds, not yet trained
    with pytest.raises(InputError, match="use --config outputs/tiny/fold_0/experiment.toml, or"):
        trained_folds(RunFolder.of(current), [0, 1, 2, 3, 4], current)
    with pytest.raises(InputError, match="fold 2 not trained yet.* or choose others with --folds"):
        trained_folds(RunFolder.of(experiment), [0, 1, 2], experiment)
    with pytest.raises(InputError, match="not trained yet; run scripts/train.py --fold 2$"):
        trained_folds(RunFolder.of(experiment), [0, 1, 2], are_chosen=False)


def test_folds_of_different_settings_or_rows_do_not_belong_together(experiment):
    first = finish(experiment, 0)
    second = finish(make_experiment("train.csv", "b", train={"epochs": 9}), 1)
    with pytest.raises(InputError) as refusal:
        check_together([first, second])
    assert str(refusal.value) == (
        "outputs/tiny/fold_1 and outputs/tiny/fold_0 do not belong together: fold_0 has "
        "train.epochs = 2, fold_1 has 9; train one of them again with --overwrite"
    )
    second = finish(experiment, 1, data="other rows")
    with pytest.raises(InputError, match="together: they were trained on different rows; train"):
        check_together([first, second])


def test_the_trained_experiment_comes_back(experiment):
    folder = finish(experiment, 0)
    current = make_experiment("train.csv", "b", inference={"average": "logit"})
    assert check_trained_with([folder], current).inference.average == "probability"
    with pytest.raises(InputError, match="was trained on other data than train.csv"):
        check_trained_with([folder], current, "other rows")
