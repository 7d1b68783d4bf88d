"""The generated competition: the real files' columns, label arithmetic and awkward texts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.datasets.sample import SUBTYPES, TEST_LABEL_COLUMNS, build_sample, write_sample
from auxfold.datasets.sample_words import BIASED, IDENTITIES, SPECIALS
from auxfold.errors import InputError
from forked import run_forked

ROOT = Path(__file__).resolve().parents[2]
# Copied from the head of Kaggle's train.csv, on purpose not built from the module's constants.
KAGGLE_HEADER = (
    "id,target,comment_text,severe_toxicity,obscene,identity_attack,insult,threat,asian,atheist,"
    "bisexual,black,buddhist,christian,female,heterosexual,hindu,homosexual_gay_or_lesbian,"
    "intellectual_or_learning_disability,jewish,latino,male,muslim,other_disability,other_gender,"
    "other_race_or_ethnicity,other_religion,other_sexual_orientation,physical_disability,"
    "psychiatric_or_mental_illness,transgender,white,created_date,publication_id,parent_id,"
    "article_id,rating,funny,wow,sad,likes,disagree,sexual_explicit,identity_annotator_count,"
    "toxicity_annotator_count"
)
FILES = ("train.csv", "test.csv", "sample_submission.csv", "test_labels.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "deep" / "sample"
    write_sample(folder, build_sample(2000, 500, 42))
    return folder


@pytest.fixture(scope="module")
def train(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "train.csv")


@pytest.fixture(scope="module")
def texts(folder: Path) -> pd.Series:
    return pd.read_csv(folder / "train.csv", keep_default_na=False)["comment_text"]


def run_script(*options: str) -> subprocess.CompletedProcess:
    """Run the script as a person would."""
    return run_forked([sys.executable, str(ROOT / "scripts" / "make_sample.py"), *options])


def test_columns_are_exactly_those_of_the_real_files(folder: Path) -> None:
    heads = {name: (folder / name).open(encoding="utf-8").readline().strip() for name in FILES}
    assert heads["train.csv"] == KAGGLE_HEADER
    assert heads["test.csv"] == "id,comment_text"
    assert heads["sample_submission.csv"] == "id,prediction"
    assert heads["test_labels.csv"] == ",".join(TEST_LABEL_COLUMNS)


def test_rows_and_ids(folder: Path, train: pd.DataFrame) -> None:
    test, submission, labels = (pd.read_csv(folder / name) for name in FILES[1:])
    assert (len(train), len(test)) == (2000, 500)
    assert train["id"].is_unique and test["id"].is_unique
    assert not set(train["id"]) & set(test["id"])
    assert (np.diff(np.sort(train["id"])) > 1).any()
    assert test["id"].equals(submission["id"]) and test["id"].equals(labels["id"])
    assert (submission["prediction"] == 0.0).all()


def test_labels_are_whole_numbers_of_annotators(train: pd.DataFrame) -> None:
    for column in ("target", "sexual_explicit", *SUBTYPES):
        marks = train[column] * train["toxicity_annotator_count"]
        assert (marks - marks.round()).abs().max() < 1e-6
        assert train[column].between(0, 1).all()
        assert (train[column] <= train["target"]).all()
        assert (train[column] > 0).any()


def test_label_shares_are_like_the_real_ones(train: pd.DataFrame) -> None:
    assert 0.10 <= (train["target"] >= 0.5).mean() <= 0.15
    assert (train["target"] == 0).mean() > 0.5
    assert train["toxicity_annotator_count"].between(4, 12).mean() > 0.9
    assert train["toxicity_annotator_count"].max() > 30


def test_identities_are_empty_for_three_quarters(train: pd.DataFrame) -> None:
    known = train["identity_annotator_count"] > 0
    assert 0.70 <= 1 - known.mean() <= 0.80
    for column in IDENTITIES:
        assert train[column].notna().equals(known)
        marks = (train[column] * train["identity_annotator_count"])[known]
        assert (marks - marks.round()).abs().max() < 1e-6


def test_a_mild_bias_is_planted() -> None:
    train = build_sample(4000, 10, 0)["train.csv"]
    toxic = train["target"] >= 0.5
    some = (train[list(BIASED)] >= 0.5).any(axis=1)
    other = (train["identity_annotator_count"] > 0) & ~some
    assert toxic[some].mean() > 1.5 * toxic[other].mean()
    assert toxic[some].mean() < 0.5


def test_special_texts_survive_the_csv(texts: pd.Series) -> None:
    written = set(texts)
    for text, _ in SPECIALS:
        assert text in written
    assert {"NA", "null", "ok", "?", "."} <= written
    assert texts.str.len().max() > 2000
    assert texts.str.contains("\n").any() and texts.str.contains("https://").any()
    assert not (texts == "").any()


def test_duplicates_and_near_duplicates_exist(train: pd.DataFrame, texts: pd.Series) -> None:
    plain = texts.str.lower().str.replace(r"\W+", "", regex=True)
    assert texts.duplicated().sum() >= 50
    assert plain.duplicated().sum() >= texts.duplicated().sum() + 40
    assert (train["target"].groupby(texts).nunique() > 1).any()


def test_same_seed_same_bytes(folder: Path, tmp_path: Path) -> None:
    process = run_script("--output", str(tmp_path / "again"))
    assert process.returncode == 0, process.stderr
    assert str(tmp_path / "again" / "train.csv") in process.stdout
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted([*FILES, "GENERATED.txt"])  # and no draft left behind
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_another_seed_gives_other_rows_and_train_size_leaves_the_test_alone() -> None:
    first, second, longer = (
        build_sample(*sizes) for sizes in ((100, 10, 1), (100, 10, 2), (200, 10, 1))
    )
    assert not first["train.csv"].equals(second["train.csv"])
    assert first["test.csv"].equals(longer["test.csv"])


@pytest.mark.parametrize(
    ("option", "value"), [("--rows", "99"), ("--test-rows", "9"), ("--seed", "-1")]
)
def test_too_small_numbers_are_one_line_and_exit_2(tmp_path: Path, option: str, value: str) -> None:
    process = run_script("--output", str(tmp_path / "none"), option, value)
    assert process.returncode == 2
    assert process.stderr.startswith(f"error: {option}") and process.stderr.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_somebody_elses_files_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id\n1\n")
    with pytest.raises(InputError, match="--output"):
        write_sample(tmp_path, build_sample(100, 10, 0))
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]
    assert (tmp_path / "train.csv").read_text() == "id\n1\n"


def test_its_own_files_are_replaced_and_a_file_is_no_folder(tmp_path: Path) -> None:
    write_sample(tmp_path / "s", build_sample(100, 10, 0))
    write_sample(tmp_path / "s", build_sample(150, 10, 0))
    assert len(pd.read_csv(tmp_path / "s" / "train.csv")) == 150
    with pytest.raises(InputError, match="cannot write"):
        write_sample(tmp_path / "s" / "train.csv", build_sample(100, 10, 0))
