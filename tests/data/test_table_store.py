"""The stored table: it is what would be read, and it is not used once that may have changed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from auxfold.config.experiment import Experiment
from auxfold.data import table_store
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.storage.run_folder import RunFolder
from auxfold.training import split
from auxfold.training.split import create_folds, load_training_table
from conftest import make_experiment, make_frame

STORED = Path("outputs/tiny/table")
ARRAYS = (
    "ids", "labels", "sample_weights", "groups", "identities", "sources", "held_out",
    *table_store._PER_NAME,
)  # fmt: skip


@pytest.fixture
def experiment(work_dir: Path) -> Experiment:
    """An experiment whose run folder exists, without a table in it."""
    experiment = make_experiment("train.csv", "none")
    RunFolder.of(experiment).path.mkdir(parents=True)
    return experiment


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An entry for every time that the files are read. Files are not too new to be trusted."""
    monkeypatch.setattr(table_store, "RECENT", 0)
    names: list[str] = []
    read = split.read_training_table

    def read_and_count(experiment: Experiment) -> Table:
        names.append(experiment.name)
        return read(experiment)

    monkeypatch.setattr(split, "read_training_table", read_and_count)
    return names


def assert_equal_tables(table: Table, expected: Table) -> None:
    assert table.path == expected.path and table.notes == expected.notes
    assert list(table.texts) == list(expected.texts)
    for name in ARRAYS:
        values, others = getattr(table, name), getattr(expected, name)
        values, others = (x if isinstance(x, dict) else {"": x} for x in (values, others))
        assert values.keys() == others.keys()
        for key, array in others.items():
            if array is None:
                assert values[key] is None
                continue
            np.testing.assert_array_equal(values[key], array)
            assert values[key].dtype == array.dtype and values[key].shape == array.shape
    fingerprint = table.fingerprint()
    vars(table).pop("_fingerprint")
    assert table.fingerprint() == fingerprint == expected.fingerprint()


def test_a_second_reading_opens_the_stored_table(experiment, reads):
    first = load_training_table(experiment)
    assert sorted(os.listdir(STORED)) == ["checksums.json", "rows.arrow", "source.json"]
    assert_equal_tables(load_training_table(experiment), first)
    other_settings = {"model": {"max_length": 8}, "train": {"epochs": 5}, "name": "tiny"}
    load_training_table(make_experiment("train.csv", "none", **other_settings))
    assert reads == ["tiny"]


def test_every_field_is_stored(work_dir, reads):
    frame = make_frame(40).assign(other=lambda f: f["text"].str.upper(), w=1.5, group="g")
    frame = frame.assign(male=0.5, female=np.where(frame["threat"] > 0, "", "0.25"), pw=2.0)
    frame.iloc[:20].to_csv("a.csv", index=False)
    frame.iloc[20:].to_csv("b.csv", index=False)
    main = {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True}
    tasks = [
        {**main, "pos_weight": "pw"},
        {"name": "aux", "kind": "binary", "columns": ["insult", "threat"], "row_weight": "w"},
    ]
    sources = [{"path": "a.csv", "name": "a"}, {"path": "b.csv", "name": "b"}]
    data = {"train": sources, "text": ["text", "other"], "group": "group", "sample_weight": "w"}
    changes = {"identities": {"columns": ["male", "female"]}, "tasks": tasks}
    several = make_experiment("", "none", data=data, **changes)
    plain = {**data, "train": "a.csv"}
    held_out = make_experiment("", "none", data=plain, folds={"validation": "b.csv"})
    for experiment in (several, held_out):
        RunFolder.of(experiment).path.mkdir(parents=True, exist_ok=True)
        expected = load_training_table(experiment)
        assert_equal_tables(load_training_table(experiment), expected)
    assert len(reads) == 2


def test_rows_of_a_stored_table(experiment, reads):
    expected, rows = load_training_table(experiment), np.array([5, 0, 59])
    table = load_training_table(experiment)
    assert_equal_tables(table.take(rows), expected.take(rows))


def test_a_changed_file_is_read_again_and_refused(experiment, reads):
    table, _ = create_folds(experiment)
    create_folds(experiment)
    assert len(reads) == 1
    before, text = os.stat("train.csv"), Path("train.csv").read_text()
    Path("train.csv").write_text(text.replace("0.9", "0.8", 1))  # as long as before
    os.utime("train.csv", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat("train.csv").st_size == before.st_size
    with pytest.raises(InputError, match="made from other rows than train.csv has now"):
        create_folds(experiment)
    Path("train.csv").write_text(text)
    assert create_folds(experiment)[0].fingerprint() == table.fingerprint()
    assert len(reads) == 3


def test_a_file_that_was_changed_a_moment_ago_is_not_trusted(experiment, reads, monkeypatch):
    monkeypatch.setattr(table_store, "RECENT", 2 * 10**9)
    load_training_table(experiment)
    load_training_table(experiment)
    assert len(reads) == 2 and not STORED.exists()


def test_a_file_from_the_future_is_not_trusted(experiment, reads):
    os.utime("train.csv", (4e9, 4e9))
    load_training_table(experiment)
    load_training_table(experiment)
    assert len(reads) == 2 and not STORED.exists()


def test_a_file_that_changes_while_it_is_read_is_not_stored(experiment, reads, monkeypatch):
    read = split.read_training_table

    def read_then_change(experiment: Experiment) -> Table:
        table = read(experiment)
        make_frame(30).to_csv("train.csv", index=False)
        return table

    monkeypatch.setattr(split, "read_training_table", read_then_change)
    assert len(load_training_table(experiment)) == 60
    assert not STORED.exists()


def test_a_link_to_another_file_is_read_again(experiment, reads):
    make_frame(30, seed=1).to_csv("other.csv", index=False)
    Path("train.csv").rename("first.csv")
    Path("train.csv").symlink_to("first.csv")
    assert len(load_training_table(experiment)) == len(load_training_table(experiment)) == 60
    Path("train.csv").unlink()
    Path("train.csv").symlink_to("other.csv")
    assert len(load_training_table(experiment)) == 30


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"rows": 30}},
        {"data": {"group": "insult"}},
        {"seed": 1},
        {"tasks": [{"name": "main", "kind": "binary", "columns": ["threat"], "main": True}]},
        {"identities": {"columns": ["threat"]}},
    ],
)
def test_other_settings_of_the_data_are_read_again(experiment, reads, changes):
    load_training_table(experiment)
    changed = make_experiment("train.csv", "none", **changes)
    expected = load_training_table(changed, store=False)
    assert_equal_tables(load_training_table(changed), expected)
    assert_equal_tables(load_training_table(changed), expected)
    assert len(reads) == 3


def test_other_code_is_read_again(experiment, reads, monkeypatch):
    load_training_table(experiment)
    monkeypatch.setattr(table_store, "_code_state", lambda: "another version")
    load_training_table(experiment)
    load_training_table(experiment)
    assert len(reads) == 2


def test_a_changed_reader_is_read_again(experiment, reads, monkeypatch):
    monkeypatch.delitem(sys.modules, "stored_readers", raising=False)
    source = "import pandas as pd\nclass Reader:\n    read = lambda self, path: pd.read_csv(path)"
    Path("stored_readers.py").write_text(source)
    custom = make_experiment("train.csv", "none", data={"reader": "stored_readers:Reader"})
    load_training_table(custom)
    load_training_table(custom)
    assert len(reads) == 1
    monkeypatch.delitem(sys.modules, "stored_readers")
    Path("stored_readers.py").write_text(f"{source}.head(20)")
    assert len(load_training_table(custom)) == 20 and len(reads) == 2


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "note"),
    [
        (flip_a_byte, "was changed since it was written"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is cut off"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (Path.unlink, "is missing"),
    ],
)
def test_a_damaged_table_is_read_again_with_one_line(experiment, reads, capsys, damage, note):
    expected = load_training_table(experiment)
    damage(STORED / "rows.arrow")
    assert_equal_tables(load_training_table(experiment), expected)
    line = capsys.readouterr().err
    assert (
        line.count("\n") == 1
        and f"note: {STORED} cannot be used" in line
        and f"rows.arrow {note}" in line
    )
    load_training_table(experiment)
    assert len(reads) == 2 and not capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"key": {}}', "\xff"])
def test_a_damaged_record_is_read_again(experiment, reads, content):
    expected = load_training_table(experiment)
    (STORED / "source.json").write_bytes(content.encode("latin-1"))
    assert_equal_tables(load_training_table(experiment), expected)
    assert len(reads) == 2


def test_a_table_that_cannot_be_stored_is_used(experiment, reads, capsys, monkeypatch):
    def full(*_: object) -> None:
        raise InputError("No space left on device")

    monkeypatch.setattr(table_store, "atomic_write_checked", full)
    assert len(load_training_table(experiment)) == 60
    assert "cannot be stored (No space left on device)" in capsys.readouterr().err


def test_bad_cells_are_reported_with_their_row(experiment, reads):
    load_training_table(experiment)
    frame = make_frame().astype({"toxic": object})
    frame.loc[6, "toxic"] = "bad"
    frame.to_csv("train.csv", index=False)
    with pytest.raises(InputError, match="column 'toxic', row 7: 'bad' is not a number"):
        load_training_table(experiment)


def test_files_are_read_when_asked_to(experiment, reads):
    load_training_table(experiment)
    load_training_table(experiment, verify=True)
    assert len(reads) == 2


def test_make_folds_stores_the_table(work_dir, reads):
    experiment = make_experiment("train.csv", "none")
    create_folds(experiment)
    load_training_table(experiment)
    assert len(reads) == 1 and STORED.is_dir()


def test_nothing_is_stored_without_a_run(work_dir, reads):
    load_training_table(make_experiment("train.csv", "none"))
    assert not Path("outputs").exists()
