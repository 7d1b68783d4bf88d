"""Notebooks executed with no network at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXECUTE = """
import socket, sys
import nbformat
from nbclient import NotebookClient
from jupyter_client import AsyncKernelManager

try:
    socket.create_connection(("127.0.0.1", 9), timeout=1)
except OSError as error:
    assert error.errno == 101, error  # "network is unreachable": not even a loopback
notebook = nbformat.read(sys.argv[1], as_version=4)
notebook.cells.append(nbformat.v4.new_code_cell("import auxfold; print(auxfold.__file__)"))
manager = AsyncKernelManager(transport="ipc")
NotebookClient(notebook, km=manager, timeout=300).execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        print(output.get("text", ""), end="")
"""


def no_network() -> list[str]:
    """A command prefix: a network namespace without interfaces."""
    for prefix in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and not subprocess.call([*prefix, "true"], stderr=-3):
            return prefix
    pytest.skip("this machine allows no network namespaces")


def execute_offline(notebook: Path, cwd: Path, **environment: str) -> str:
    """What a notebook prints that runs to its end, and then the path of the package it has used."""
    process = subprocess.run(
        [*no_network(), sys.executable, "-c", EXECUTE, str(notebook)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout
