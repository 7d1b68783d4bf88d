"""Commands start others by ``python -m auxfold``, and pass on how they end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from auxfold.cli import processes
from auxfold.cli.processes import call_command, start_command, wait_for


def test_a_command_is_started_by_this_python_wherever_it_was_called_from(monkeypatch):
    lines = []
    monkeypatch.setattr("sys.argv", ["/somewhere/else/compare.py"])
    monkeypatch.setattr(
        processes.subprocess, "Popen", lambda line, **options: lines.append((line, options))
    )
    start_command("train", "--fold", "0", environment={"A": "1"})
    line, options = lines[0]
    assert line == [sys.executable, "-m", "auxfold", "train", "--fold", "0"]
    assert options == {"env": {"A": "1"}, "stdout": None, "text": True}


def test_the_exit_code_of_a_failed_command_is_passed_on(capfd):
    with pytest.raises(SystemExit) as stop:
        call_command("train", "--config", "none.toml", "--fold", "0")
    assert stop.value.code == 2
    assert capfd.readouterr().err.startswith("error: no experiment file none.toml")
    call_command("--version")


def test_output_is_captured_where_it_is_asked_for():
    child = start_command("--version", capture_output=True)
    output, _ = child.communicate()
    assert output.startswith("auxfold ") and child.returncode == 0


def test_sigterm_is_passed_on_to_the_child_which_may_save():
    program = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); "
        "import os; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program], text=True)
    assert wait_for(child) == 9
