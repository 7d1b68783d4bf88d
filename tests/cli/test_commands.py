"""Command lines in help and messages are those that the user typed."""

from __future__ import annotations

import pytest

from auxfold.cli.commands import as_called, module_name, program_name


@pytest.fixture
def call_as(monkeypatch):
    return lambda program: monkeypatch.setattr("sys.argv", [program, "--help"])


@pytest.mark.parametrize(
    "program", ["/venv/bin/auxfold", "/src/auxfold/__main__.py", "ipykernel_launcher.py", ""]
)
def test_commands_of_the_package_stay_as_they_are(program, call_as):
    call_as(program)
    assert program_name("make-folds") == "auxfold make-folds"
    assert as_called("auxfold make-folds --config c") == "auxfold make-folds --config c"


def test_a_script_shows_scripts(call_as):
    call_as("scripts/make_folds.py")
    assert program_name("make-folds") == "make_folds.py"
    assert as_called("  auxfold make-folds --config c\n  auxfold train --fold 0") == (
        "  python scripts/make_folds.py --config c\n  python scripts/train.py --fold 0"
    )
    assert as_called("accelerate launch -m auxfold train") == "accelerate launch scripts/train.py"
    assert as_called("wandb agent me/auxfold") == "wandb agent me/auxfold"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no folds; run scripts/make_folds.py first", "no folds; run auxfold make-folds first"),
        ("next: python scripts/train.py --fold 0", "next: auxfold train --fold 0"),
        (
            "or make_folds.py --overwrite (and train)",
            "or auxfold make-folds --overwrite (and train)",
        ),
        ("no file train.py", "no file train.py"),
        ("no file my/scripts/train.py", "no file my/scripts/train.py"),
    ],
)
def test_errors_name_commands_as_the_user_types_them(text, expected, call_as):
    call_as("/venv/bin/auxfold")
    assert as_called(text) == expected
    call_as("scripts/evaluate.py")
    assert as_called(text) == text


def test_module_names():
    assert module_name("bundle-kaggle") == "bundle_kaggle" and module_name("train") == "train"
