"""Commands start others in processes of their own, and pass on how they end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from auxfold.cli import processes
from auxfold.cli.experiment_options import ANNOUNCED
from auxfold.cli.processes import call_command, start_command, wait_for
from auxfold.config.experiment import to_toml
from conftest import make_experiment


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


@pytest.fixture(params=[True, False], ids=["forked", "started"])
def can_fork(request, monkeypatch):
    if request.param and sys.platform != "linux":
        pytest.skip("commands are only forked on Linux")
    monkeypatch.setattr(processes, "_can_fork", lambda: request.param)


def test_the_exit_code_of_a_failed_command_is_passed_on(capfd, can_fork):
    with pytest.raises(SystemExit) as stop:
        call_command("train", "--config", "none.toml", "--fold", "0")
    assert stop.value.code == 2
    assert capfd.readouterr().err.startswith("error: no experiment file none.toml")
    call_command("--version")
    assert capfd.readouterr().out.startswith("auxfold ")


def test_a_command_has_the_environment_and_the_folder_of_its_caller(
    capfd, can_fork, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e.toml").write_text(to_toml(make_experiment("lost.csv", "none")))
    for environment, line in ((None, "experiment tiny (e.toml)\n"), ({ANNOUNCED: "1"}, "")):
        full = environment and {**os.environ, **environment}
        with pytest.raises(SystemExit):
            call_command("make-folds", "--config", "e.toml", environment=full)
        output = capfd.readouterr()
        assert output.out == line and "no file lost.csv" in output.err


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
