"""The generated competition with rules: columns, new rules, examples that say what they mean."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from auxfold.datasets.rule_sample import EXAMPLE_COLUMNS, build_rule_sample
from auxfold.datasets.rule_sample_words import TEST_RULES, TRAIN_RULES
from auxfold.errors import InputError
from commands import call_main

# Copied from the head of Kaggle's files, on purpose not built from the module's constants.
TEST_HEADER = ("row_id,body,rule,subreddit,positive_example_1,positive_example_2,"
               "negative_example_1,negative_example_2")  # fmt: skip


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return build_rule_sample(600, 300, 42)


def test_columns_are_exactly_those_of_the_real_files(tables):
    assert list(tables["train.csv"]) == [*TEST_HEADER.split(","), "rule_violation"]
    assert list(tables["test.csv"]) == TEST_HEADER.split(",")
    assert list(tables["sample_submission.csv"]) == ["row_id", "rule_violation"]
    ids = [tables[name]["row_id"].tolist() for name in tables if name != "train.csv"]
    assert ids[0] == ids[1] == ids[2] == [*range(600, 900)]
    assert tables["train.csv"]["row_id"].tolist() == [*range(600)]


def test_the_test_file_has_rules_that_the_training_file_lacks(tables):
    assert set(tables["train.csv"]["rule"]) == {rule.text for rule in TRAIN_RULES}
    assert set(tables["test.csv"]["rule"]) == {rule.text for rule in (*TRAIN_RULES, *TEST_RULES)}
    assert 0.4 < tables["train.csv"]["rule_violation"].mean() < 0.6


def test_examples_say_what_breaks_a_rule_and_come_again(tables):
    labels = {**dict.fromkeys(EXAMPLE_COLUMNS[:2], 1), **dict.fromkeys(EXAMPLE_COLUMNS[2:], 0)}
    test = tables["test.csv"]
    examples = pd.concat(
        test[["rule", column]].set_axis(["rule", "text"], axis=1).assign(label=label)
        for column, label in labels.items()
    )
    assert examples.duplicated().mean() > 0.5
    assert (examples.groupby(["rule", "text"])["label"].nunique() == 1).mean() > 0.95
    # Where a comment is also an example of its rule, the labels agree, but for some noise.
    known = test.merge(tables["test_labels.csv"]).merge(
        examples.drop_duplicates(), left_on=["rule", "body"], right_on=["rule", "text"]
    )
    assert len(known) > 30 and (known["rule_violation"] == known["label"]).mean() > 0.9
    train = tables["train.csv"].merge(
        examples.drop_duplicates(), left_on=["rule", "body"], right_on=["rule", "text"]
    )
    assert len(train) > 30, "some comments of training rows are examples of test rows"
    for column in EXAMPLE_COLUMNS:
        assert (test[column] != test["body"]).all()


def test_a_comment_that_breaks_another_rule_is_harmless_under_this_one(tables):
    train = tables["train.csv"]
    says = train["body"].str.contains("and receive|use my code|with my link|My store sells")
    is_rule = train["rule"] == TRAIN_RULES[0].text
    assert train.loc[says & is_rule, "rule_violation"].mean() > 0.9
    assert (says & ~is_rule).sum() > 30
    assert train.loc[says & ~is_rule, "rule_violation"].mean() < 0.1


def test_the_same_seed_gives_the_same_rows(tables):
    again = build_rule_sample(600, 300, 42)
    longer = build_rule_sample(700, 300, 42)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(again[name], table)
    content = [t["test.csv"].drop(columns="row_id") for t in (tables, longer)]
    pd.testing.assert_frame_equal(*content)
    assert not build_rule_sample(600, 300, 1)["train.csv"].equals(tables["train.csv"])
    with pytest.raises(InputError, match="--test-rows must be 10 or more"):
        build_rule_sample(600, 9, 42)


def test_the_command_writes_it(tmp_path: Path, capsys):
    arguments = ("--competition", "jigsaw_2025", "--rows", "100", "--test-rows", "40")
    call_main("make_sample", *arguments, "--output", str(tmp_path / "rules"))
    assert "the rows break their rule, one of 2; test: 6 rules, 4 of them new" in (
        capsys.readouterr().out
    )
    assert sorted(path.name for path in (tmp_path / "rules").iterdir()) == [
        "GENERATED.txt", "sample_submission.csv", "test.csv", "test_labels.csv", "train.csv",
    ]  # fmt: skip
