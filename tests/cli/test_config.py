"""``auxfold config`` explains keys, and imports nothing slow for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from auxfold.cli.main import main
from commands import refusal_of_script, run_script


def test_without_arguments_all_sections_and_keys_are_printed(capsys):
    main("config", [])
    printed = capsys.readouterr().out
    for text in ("[data]", "[[tasks]]", "[model.adapter]", "[tracking]", "  epochs = 2  (integer"):
        assert text in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_a_key_is_explained(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    main("config", ["train.warmup_ratio"])
    assert capsys.readouterr().out == (
        "train.warmup_ratio\n"
        "  type      number from 0 to 1\n"
        "  default   0.05\n"
        "  The share of all optimizer steps in which the learning rate rises linearly from 0.\n"
    )


def test_a_key_of_a_kind_names_the_kind_and_the_choice_that_read_it(capsys):
    run_script("config", "tasks.binary.focal_gamma")
    printed = capsys.readouterr().out
    assert (
        "  kind      binary, tags, multiclass\n" in printed
        and '  read by   loss = "focal"\n' in printed
    )


def test_a_section_has_its_keys_only(capsys):
    main("config", ["selection"])
    printed = capsys.readouterr().out
    assert printed.startswith("[selection]  ") and "early_stopping = 0" in printed
    assert "[train]" not in printed


def test_required_keys_and_keys_without_a_default_say_so(capsys):
    main("config", ["data"])
    printed = capsys.readouterr().out
    assert "  train  (string or list of tables, required)\n" in printed
    assert "  test  (string, not set by default)\n" in printed


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("train.epoch", "unknown key 'train.epoch' (did you mean 'train.epochs'?)"),
        ("train.warmup", "train.warmup is now train.warmup_ratio"),
        ("balance.method", "[balance] is now [task_weighting]"),
    ],
)
def test_what_is_no_key_is_one_line(capsys, key, expected):
    assert expected in refusal_of_script(capsys, "config", key)


def test_nothing_slow_is_imported():
    code = (
        "import sys; from auxfold.cli.main import main; main('config', ['train.epochs']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
