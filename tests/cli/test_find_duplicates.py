"""``find-duplicates`` on real files: ids, folds, the test file; and what it refuses."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from commands import call_main
from conftest import make_experiment, make_frame

SENTENCE = (
    "The quick brown fox jumps over the lazy dog and runs into the deep forest, where a large and "
    "friendly bear is asleep under an old oak and hears nothing of what goes on above its head:"
)


@pytest.fixture
def files(work_dir):
    """Ten near-equal pairs: rows n and n + 10. Test row t0 is like the first of them."""
    frame = make_frame(40)
    originals = [f"{SENTENCE} {text} {n}" for n, text in enumerate(frame["text"][:10])]
    frame["text"] = [
        *originals, *(text.replace("quick", "quiet") for text in originals),
        *frame["text"][20:],
    ]  # fmt: skip
    frame["id"] = [f"r{n}" for n in range(40)]
    frame.to_csv("train.csv", index=False)
    test = pd.DataFrame({"id": ["t0", "t1"], "text": [originals[0] + " now", "nothing like it"]})
    test.to_csv("test.csv", index=False)
    settings = {"data": {"train": "train.csv", "test": "test.csv"}}
    experiment = make_experiment("train.csv", "none", **settings)
    (work_dir / "e.toml").write_text(to_toml(experiment))
    return work_dir


def report_of(capsys, *arguments: str) -> dict:
    call_main("find_duplicates", "--config", "e.toml", "--json", *arguments)
    return json.loads(capsys.readouterr().out)


def test_lists_ids_and_never_texts(files, capsys):
    report = report_of(capsys, "--similarity", "0.9")
    assert (report["rows"], report["test_rows"], report["similarity"]) == (40, 2, 0.9)
    assert {"ids": ["r3", "r13"], "folds": None, "test_ids": [], "n_texts": 2} in report["groups"]
    assert report["groups"][0]["ids"] == ["r0", "r10"]
    assert report["groups"][0]["test_ids"] == ["t0"]
    call_main("find_duplicates", "--config", "e.toml", "--similarity", "0.9")
    out = capsys.readouterr().out
    assert "20 of 40 rows of train.csv have an equal or near-equal text" in out
    assert "1 of 2 rows of test.csv are equal or near-equal to rows of training" in out
    assert "  3 different texts: r0, r10; test: t0\n" in out
    assert "quick" not in out


def test_says_which_folds_share_a_group_and_grouping_joins_them(files, capsys):
    call_main("make_folds", "--config", "e.toml")
    out = capsys.readouterr().out
    assert "rows have a text that is nearly equal to one in another fold" in out
    folds = pd.read_parquet("outputs/tiny/folds.parquet").set_index("id")["fold"]
    report = report_of(capsys)
    apart = [group for group in report["groups"] if len({*group["folds"]}) > 1]
    assert report["rows_across_folds"] == sum(len(group["ids"]) for group in apart) > 0
    for group in report["groups"]:
        assert group["folds"] == folds.loc[group["ids"]].tolist()
    grouping = ["--set", "folds.group_near_duplicates=0.9"]
    with pytest.raises(InputError, match=r"made with folds.group_near_duplicates = nothing"):
        call_main("find_duplicates", "--config", "e.toml", *grouping)
    call_main("make_folds", "--config", "e.toml", "--overwrite", *grouping)
    assert "nearly equal" not in capsys.readouterr().out
    report = report_of(capsys, *grouping)
    assert report["similarity"] == 0.9 and report["rows_across_folds"] == 0
    assert report["rows_in_groups"] == 20


def test_refuses_a_similarity_out_of_range_and_a_missing_test_file(files):
    for similarity in ("0.5", "1", "nan"):
        with pytest.raises(InputError, match=f"--similarity {similarity}: a number from 0.6"):
            call_main("find_duplicates", "--config", "e.toml", "--similarity", similarity)
    with pytest.raises(InputError, match=r"tset\.csv"):
        call_main("find_duplicates", "--config", "e.toml", "--test", "tset.csv")
