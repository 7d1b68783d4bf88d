"""Run the commands as a user does, and assert that they pass or refuse."""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from forked import run_forked

SCRIPTS = Path(__file__).parent.parent / "scripts"


def command_line(name: str, is_module: bool = False) -> list[str]:
    """``python scripts/<name>.py``, or ``python -m auxfold <name>``."""
    program = ["-m", "auxfold", name] if is_module else [str(SCRIPTS / f"{name}.py")]
    return [sys.executable, *program]


def start_process(
    name: str, *arguments: str, cwd: Path, is_module: bool = False
) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, run to its end."""
    return run_forked([*command_line(name, is_module), *arguments], cwd)


def run_command(name: str, *arguments: str, cwd: Path, is_module: bool = False) -> str:
    """What a command that passes prints."""
    process = start_process(name, *arguments, cwd=cwd, is_module=is_module)
    assert process.returncode == 0, process.stderr
    return process.stdout


def refusal_of(name: str, *arguments: str, cwd: Path, is_module: bool = False) -> str:
    """The one line of an error for a person."""
    process = start_process(name, *arguments, cwd=cwd, is_module=is_module)
    assert process.returncode == 2, (process.stdout, process.stderr)
    assert process.stderr.startswith("error: "), process.stderr
    assert process.stderr.count("\n") == 1, process.stderr
    return process.stderr


def run_script(name: str, *arguments: str) -> None:
    """A script in this process, which is quicker than one of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{name}.py", *arguments])
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")


def refusal_of_script(capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> str:
    """The one line of a script that refuses its arguments, with exit code 2."""
    with pytest.raises(SystemExit) as stop:
        run_script(name, *arguments)
    line = capsys.readouterr().err
    assert stop.value.code == 2 and line.startswith("error: ") and line.count("\n") == 1
    return line


def call_main(name: str, *arguments: str) -> None:
    """The ``main`` of a command's module, in this process; an error is an ``InputError``."""
    import_module(f"auxfold.cli.{name}").main(list(arguments))
