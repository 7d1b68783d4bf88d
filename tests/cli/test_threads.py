"""Threads that wait sleep, unless the user wants otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from auxfold.cli.threads import WAIT_SETTINGS, let_waiting_threads_sleep


def test_waiting_threads_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WAIT_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    let_waiting_threads_sleep()
    assert {name: os.environ.get(name) for name in WAIT_SETTINGS} == {
        "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": None, "KMP_BLOCKTIME": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", WAIT_SETTINGS)
def test_a_setting_of_the_user_holds(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for other in WAIT_SETTINGS:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "ACTIVE" if name == "OMP_WAIT_POLICY" else "1")
    let_waiting_threads_sleep()
    environment = os.environ
    assert environment.get("OMP_WAIT_POLICY") in (None, "ACTIVE")


def test_a_command_sets_it_before_torch_is_loaded() -> None:
    code = (
        "import os, sys, contextlib\n"
        "from auxfold.cli.main import main\n"
        "assert 'torch' not in sys.modules\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main('--version')\n"
        "print(os.environ['OMP_WAIT_POLICY'])\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stdout.splitlines()[-1:] == ["PASSIVE"], process.stderr
