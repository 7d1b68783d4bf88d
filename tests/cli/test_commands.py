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


def test_module_names():
    assert module_name("bundle-kaggle") == "bundle_kaggle" and module_name("train") == "train"
