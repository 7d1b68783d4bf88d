"""Threads that wait soon sleep, unless the user wants otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from auxfold.cli.threads import WAIT_SETTINGS, let_waiting_threads_sleep


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WAIT_SETTINGS:
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)


def wait_settings() -> dict[str, str]:
    return {name: os.environ[name] for name in WAIT_SETTINGS if name in os.environ}


def test_waiting_threads_soon_sleep() -> None:
    let_waiting_threads_sleep()
    assert wait_settings() == {"GOMP_SPINCOUNT": "10000"}


@pytest.mark.parametrize("name", WAIT_SETTINGS)
def test_a_setting_of_the_user_holds(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "5")
    let_waiting_threads_sleep()
    assert wait_settings() == {name: "5"}


def test_a_command_sets_it_before_torch_is_loaded() -> None:
    code = (
        "import os, sys, contextlib\n"
        "from auxfold.cli.main import main\n"
        "assert 'torch' not in sys.modules\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main('--version')\n"
        "print(os.environ['GOMP_SPINCOUNT'])\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stdout.splitlines()[-1:] == ["10000"], process.stderr
