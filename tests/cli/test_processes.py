"""Commands start others in processes of their own, and pass on how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from auxfold.cli import processes
from auxfold.cli.experiment_options import ANNOUNCED
from auxfold.cli.processes import call_command
from auxfold.config.experiment import to_toml
from auxfold.training.split import create_folds
from commands import command_line
from conftest import make_experiment, make_frame


def test_a_command_is_started_by_this_python_wherever_it_was_called_from(monkeypatch):
    lines, start = [], subprocess.Popen

    def note(line, **options):
        lines.append((line, options))
        return start([sys.executable, "-c", ""])

    monkeypatch.setattr("sys.argv", ["/somewhere/else/compare.py"])
    monkeypatch.setattr(processes, "_can_fork", lambda: False)
    monkeypatch.setattr(processes.subprocess, "Popen", note)
    call_command("train", "--fold", "0", environment={"A": "1"})
    line, options = lines[0]
    assert line == [sys.executable, "-m", "auxfold", "train", "--fold", "0"]
    assert options == {"env": {"A": "1"}, "text": True}


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


def exit_code_of(program: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """With which a command exits that calls another one, which is a program in Python."""
    line = [sys.executable, "-c", program]
    monkeypatch.setattr(processes, "_can_fork", lambda: False)
    monkeypatch.setattr(processes, "_start_command", lambda *_: subprocess.Popen(line))
    with pytest.raises(SystemExit) as stop:
        call_command("train")
    return stop.value.code


@pytest.mark.parametrize(
    ("child_exits_with", "code"),
    [("sys.exit(143)", 143), ("sys.exit(0)", 143), ("sys.exit(2)", 2), ("os.abort()", 143)],
)
def test_a_signal_is_passed_on_and_stops_both(monkeypatch, child_exits_with, code):
    """Another error of the child, such as a full disk, is worth more than the signal."""
    program = (
        "import os, signal, sys, time\n"
        f"signal.signal(signal.SIGUSR2, lambda *_: {child_exits_with})\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "while True: time.sleep(0.05)"  # a signal just before a long sleep would not end it
    )
    assert exit_code_of(program, monkeypatch) == code


def test_a_killed_child_has_the_exit_code_of_a_shell(monkeypatch):
    assert exit_code_of("import os; os.kill(os.getpid(), 9)", monkeypatch) == 137


# Python runs a ``sitecustomize`` at its start: here one that waits in the import of torch.
SLOW_TORCH = """
import importlib.abc, sys, time
from pathlib import Path

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            Path("importing").touch()
            time.sleep(60)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    ("fold", "sent", "code"),
    [
        ("0", signal.SIGTERM, 143),
        ("all", signal.SIGINT, 130),  # torch is imported by the process that is forked
    ],
)
def test_signals_while_torch_is_imported(tmp_path, monkeypatch, fold, sent, code):
    monkeypatch.chdir(tmp_path)
    make_frame().to_csv("train.csv", index=False)
    experiment = make_experiment("train.csv", "none")
    create_folds(experiment)
    (tmp_path / "e.toml").write_text(to_toml(experiment))
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow/sitecustomize.py").write_text(SLOW_TORCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "slow"))
    with open("output", "w") as output, open("errors", "w") as errors:
        command = [*command_line("train"), "--config", "e.toml", "--fold", fold]
        process = subprocess.Popen(command, stdout=output, stderr=errors, start_new_session=True)
    while not Path("importing").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGUSR1)
    time.sleep(0.2)
    assert process.poll() is None
    os.killpg(process.pid, sent)
    assert process.wait(timeout=30) == code
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whoever is still importing would end after that
    assert Path("output").read_text().endswith("SIGUSR1: there is nothing to save yet\n")
    assert Path("errors").read_text() == {143: "terminated\n", 130: "interrupted\n"}[code]
