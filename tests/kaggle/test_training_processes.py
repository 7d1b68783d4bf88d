"""Processes of a kernel: which GPU they see, and that none outlives its time."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from auxfold.kaggle.training_processes import _environment, _run

SOURCE = str(Path(__file__).parents[2] / "src")


@pytest.mark.parametrize(
    ("devices", "visible", "expected"),
    [
        (["cuda:0"], None, "0"),
        (["cuda:1"], None, "1"),
        (["cuda:0", "cuda:1"], None, "0,1"),
        (["cuda:1"], "5,7", "7"),
        (["cuda"], "GPU-a,GPU-b", "GPU-a"),
    ],
)
def test_a_process_sees_its_gpus_alone(monkeypatch, devices, visible, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    environment = _environment(devices)
    assert environment["CUDA_VISIBLE_DEVICES"] == expected
    assert "ACCELERATE_USE_CPU" not in environment


def test_a_process_on_the_cpu_sees_no_gpu_no_launcher_and_no_network(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    environment = _environment(["cpu", "cpu"])
    assert environment["CUDA_VISIBLE_DEVICES"] == "" and environment["ACCELERATE_USE_CPU"] == "1"
    assert "RANK" not in environment and "WORLD_SIZE" not in environment
    assert environment["PYTHONPATH"] == os.pathsep.join([SOURCE, "/elsewhere"])
    assert environment["HF_HUB_OFFLINE"] == "1" and environment["WANDB_MODE"] == "disabled"


def run(*programs: str, seconds: float = 30.0) -> tuple[int, float]:
    """The exit code of programs side by side, and how long they took."""
    started = time.monotonic()
    commands = [[sys.executable, "-c", program] for program in programs]
    code = _run(commands, [dict(os.environ)] * len(programs), time.time() + seconds)
    return code, time.monotonic() - started


def test_what_processes_print_is_printed_here(capsys):
    code, _ = run("print('first')", "import sys; print('second', file=sys.stderr)")
    assert code == 0
    assert sorted(capsys.readouterr().out.splitlines()) == ["first", "second"]


def test_the_others_of_a_process_that_fails_are_killed():
    code, seconds = run("import time; time.sleep(60)", "import sys; sys.exit(3)")
    assert code == 3 and seconds < 20


def test_a_process_that_goes_on_is_killed_with_its_children_when_the_time_is_up(tmp_path):
    child = f"import time; time.sleep(2); open({str(tmp_path / 'alive')!r}, 'w')"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    code, seconds = run(parent, seconds=0.8)
    assert code == -9 and seconds < 20
    time.sleep(2.5)
    assert not (tmp_path / "alive").exists()
