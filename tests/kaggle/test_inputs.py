"""On Kaggle the files are those of the competition's folder, and never another of the same name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from auxfold.errors import InputError
from auxfold.kaggle.inputs import find_inputs
from auxfold.kaggle.loaded_bundle import LoadedBundle
from conftest import make_experiment
from manifests import write_manifest

COMPETITION = "tiny-comments"


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "kaggle/input"


@pytest.fixture
def find(tmp_path, root, monkeypatch):
    """``find(**data)``: the inputs of a bundle whose experiment has this ``[data]``, by path."""

    def find_with(**data: str) -> list[str | None]:
        experiment = make_experiment("train.csv", "b", data=data)
        bundle = root / "datasets/ada/auxfold-tiny"
        runs = {".": SimpleNamespace(experiment=experiment)}
        loaded = LoadedBundle(bundle, COMPETITION, runs, [], None)
        monkeypatch.setattr(LoadedBundle, "from_folder", lambda path: loaded)
        bundle.mkdir(parents=True, exist_ok=True)
        write_manifest(bundle, sample_columns=["id", "prediction"])
        paths = find_inputs(bundle, root)
        return [path and path.relative_to(root).as_posix() for path in paths]

    return find_with


def write(path: Path, ids: str, **columns: object) -> None:
    """A table with an id per letter, and a text unless it is a sample."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"id": list(ids)} | (columns or {"text": "good"})
    pd.DataFrame(values).to_csv(path, index=False)


@pytest.mark.parametrize("mount", [COMPETITION, f"competitions/{COMPETITION}"])
def test_both_places_where_kaggle_mounts_a_competition(find, root, mount):
    write(root / mount / "test.csv", "ab")
    write(root / mount / "sample_submission.csv", "ab", prediction=0)
    write(root / "datasets/bob/other/test.csv", "ab")
    write(root / "datasets/bob/other/sample_submission.csv", "ab", prediction=0)
    home = f"input/{COMPETITION}"
    paths = find(test=f"{home}/test.csv", sample_submission=f"{home}/sample_submission.csv")
    assert paths == [f"{mount}/test.csv", f"{mount}/sample_submission.csv"]


@pytest.mark.parametrize("home", [f"input/{COMPETITION}", "../data", f"/x/input/{COMPETITION}"])
def test_files_of_one_name_are_told_apart_by_their_folders(find, root, home):
    for folder in ("labelled", "unlabelled"):
        write(root / COMPETITION / folder / "data.csv", "ab")
    paths = find(test=f"{home}/unlabelled/data.csv")
    assert paths == [f"{COMPETITION}/unlabelled/data.csv", None]


def test_other_folders_than_at_home_leave_the_columns_and_the_ids(find, root):
    """At home the files are in one folder; on Kaggle each has one of its own."""
    data = {"test": "input/c/test.csv", "sample_submission": "input/c/sample.csv"}
    write(root / COMPETITION / "a/test.csv", "ab")
    write(root / COMPETITION / "b/test.csv", "cd")
    write(root / COMPETITION / "c/test.csv", "cd", words="good")
    write(root / COMPETITION / "first/sample.csv", "ab", other=0)
    write(root / COMPETITION / "last/sample.csv", "dc", prediction=0)
    assert find(**data) == [f"{COMPETITION}/b/test.csv", f"{COMPETITION}/last/sample.csv"]


def test_a_training_file_of_the_same_name_is_no_test_file(find, root):
    write(root / COMPETITION / "train/data.csv", "ab", text="good", toxic=1)
    with pytest.raises(InputError, match=r"no data.csv .* has the columns .*train/data\.csv"):
        find(test="input/c/data.csv")
    write(root / COMPETITION / "test/data.csv", "cd")
    assert find(test="input/c/data.csv") == [f"{COMPETITION}/test/data.csv", None]


def test_a_training_file_that_is_split_is_the_test_file(find, root):
    folder = root / COMPETITION
    columns = {"text": "good", "toxic": 1}
    write(folder / "later/data.csv", "ab", part=["train", "test"], **columns)
    write(folder / "first/data.csv", "cd", part=["train", "dev"], **columns)
    home = "input/c/data.csv"
    paths = find(train=home, test=home, split="part")
    assert paths == [f"{COMPETITION}/later/data.csv", None], "the other has no rows to test"
    with pytest.raises(InputError, match="no data.csv"):
        find(train="input/c/other.csv", test=home, split="part")


def test_several_files_that_fit_are_named_and_none_is_taken(find, root):
    for folder in ("private", "public"):
        write(root / COMPETITION / folder / "test.csv", "ab")
    expected = (
        r"several files could be test\.csv of tiny-comments below .*: \S*private/test\.csv, "
        r"\S*public/test\.csv; set data\.test"
    )
    with pytest.raises(InputError, match=expected) as refusal:
        find(test="input/c/test.csv")
    assert "\n" not in str(refusal.value)


def test_compressed_files_are_those_of_the_name(find, root):
    folder = root / COMPETITION
    folder.mkdir(parents=True)
    pd.DataFrame({"id": ["a"], "text": ["good"]}).to_csv(folder / "test.csv.zip", index=False)
    write(folder / "test.csv.backup", "ab")
    assert find(test="input/c/test.csv") == [f"{COMPETITION}/test.csv.zip", None]
    (folder / "test.csv.zip").unlink()
    write(folder / "test.csv", "a")
    assert find(test="input/c/test.csv.zip") == [f"{COMPETITION}/test.csv", None]


def test_a_dataset_of_the_competitions_name_is_its_folder_where_there_is_no_other(find, root):
    write(root / "datasets/bob" / COMPETITION / "test.csv", "ab")
    assert find(test="input/c/test.csv") == [f"datasets/bob/{COMPETITION}/test.csv", None]
    write(root / "competitions" / COMPETITION / "test.csv", "ab")
    assert find(test="input/c/test.csv") == [f"competitions/{COMPETITION}/test.csv", None]


def test_what_is_not_attached_is_named(find, root):
    write(root / "some-dataset/test.csv", "ab")
    expected = (
        r"no test\.csv of tiny-comments below .*; of that name elsewhere: \S*some-dataset/test\.csv"
        r"; attach the competition"
    )
    with pytest.raises(InputError, match=expected):
        find(test="input/c/test.csv")
