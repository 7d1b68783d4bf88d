"""Options that several commands share."""

from __future__ import annotations

import argparse

import pytest

from auxfold.cli.options import (
    add_renamed_option,
    add_target_precision,
    check_target_precisions,
    make_parser,
    parse_folds,
    parse_list,
    parse_renames,
    refuse,
)
from auxfold.errors import InputError


@pytest.mark.parametrize("arguments", [["--decide", "f1"], ["--decide"], ["--decide=f1"]])
def test_an_old_name_of_an_option_is_refused_by_its_new_one(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--threshold")
    parser.add_argument("--needed", required=True)
    add_renamed_option(parser, "--decide", "--threshold")
    with pytest.raises(InputError, match="^--decide is now called --threshold$"):
        parser.parse_args(arguments)
    assert "--decide" not in parser.format_help()


def test_target_precisions_are_shares_of_rows():
    parser = argparse.ArgumentParser()
    add_target_precision(parser)
    args = parser.parse_args(["--target-precision", "0.9", "--target-precision", "0.9"])
    assert check_target_precisions(args.target_precision) == [0.9]
    assert check_target_precisions(None) == []
    for value in (0.0, 1.5):
        with pytest.raises(InputError, match=f"--target-precision {value:g}: a number above 0"):
            check_target_precisions([value])


def test_options_without_an_effect_are_refused_whatever_their_value():
    args = argparse.Namespace(step=0.0, negative=False, name=None, rename=[], without_ids=True)
    refuse(args, ("negative", "name", "rename"), "has no effect here")
    for option, name in (("step", "--step"), ("without_ids", "--without-ids")):
        with pytest.raises(InputError, match=f"^{name} has no effect here$"):
            refuse(args, [option], "has no effect here")


def test_lists_folds_and_renames_are_parsed():
    assert parse_list(" a, b,,c ") == ["a", "b", "c"]
    assert parse_folds("0, 2,full") == [0, 2, "full"] and parse_folds(None) is None
    assert parse_renames(["text=comment_text", "a=b=c"]) == {"text": "comment_text", "a": "b=c"}
    for text in ("", "1;2", "-1"):
        with pytest.raises(InputError, match="numbers separated by commas, or 'full'"):
            parse_folds(text)
    for text in ("text", "=a", "a="):
        with pytest.raises(InputError, match="expected OLD=NEW"):
            parse_renames([text])


def test_help_ends_with_what_comes_before_the_examples_and_the_examples(monkeypatch):
    monkeypatch.setattr("sys.argv", ["auxfold"])
    parser = make_parser("train", "Trains.", "  auxfold train --fold 0\n", "folds:\n  many\n\n")
    assert parser.format_help().endswith("folds:\n  many\n\nexamples:\n  auxfold train --fold 0\n")
