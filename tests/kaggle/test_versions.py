"""The versions of a bundle and of the notebook are compared in one line, before anything else."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from auxfold.errors import InputError
from auxfold.kaggle import versions
from auxfold.kaggle.versions import check_versions, installed_versions
from manifests import write_manifest

ROOT = Path(__file__).parents[2]
BUNDLED = {"python": "3.11.9", "torch": "2.13.0", "transformers": "5.23.0", "tokenizers": "0.22.1"}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """``check(**versions)``: the line where these versions are here instead of the bundled ones."""

    def check_with(**changes: str | None) -> str:
        write_manifest(tmp_path, versions=BUNDLED)
        monkeypatch.setattr(versions, "installed_versions", lambda: BUNDLED | changes)
        return check_versions(tmp_path)

    return check_with


def test_the_same_versions_are_named(check):
    assert check() == (
        "versions as bundled: python 3.11.9, torch 2.13.0, transformers 5.23.0, tokenizers 0.22.1"
    )


def test_other_versions_are_said_and_go_on(check):
    line = check(torch="2.8.0+cu126", transformers="5.100.1")
    assert line.startswith(
        "versions: bundled with torch 2.13.0, transformers 5.23.0, here torch 2.8.0+cu126, "
        "transformers 5.100.1; predictions may differ in the last digits. If loading fails, choose"
    )
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("python", "3.10.14", "python 3.10.14 here, bundled with 3.11.9, needed is 3.11 or later"),
        ("torch", "2.7.1+cu126", r"torch 2\.7\.1\+cu126 here, bundled with 2\.13\.0"),
        ("transformers", "4.57.1", "transformers 4.57.1 here, bundled with 5.23.0, needed is 5.0"),
        ("transformers", None, "transformers is missing here"),
    ],
)
def test_what_cannot_work_is_refused(check, name, version, expected):
    with pytest.raises(InputError, match=f"{expected}.*choose the latest environment"):
        check(**{name: version})


def test_the_least_versions_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ranges = dict(line.split(">=") for line in project["dependencies"])
    python = project["requires-python"].removeprefix(">=").partition(",")[0]
    expected = {"python": python, **{name: ranges[name] for name in ("torch", "transformers")}}
    assert expected == versions.MINIMUM


def test_installed_versions_are_those_of_this_machine():
    import torch
    import transformers

    here = installed_versions()
    assert list(here) == ["python", "torch", "transformers", "tokenizers"]
    assert here["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert here["transformers"] == transformers.__version__


def test_the_check_needs_none_of_the_packages():
    """Nor syntax newer than Python 3.8, so that it can say that Python is too old."""
    missing = ("torch", "transformers", "pandas", "numpy")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing}))\n"
    code += "from auxfold.kaggle.versions import check_versions"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    for module in ("kaggle/versions.py", "kaggle/manifest.py", "errors.py"):
        source = (ROOT / "src/auxfold" / module).read_text()
        ast.parse(source, feature_version=(3, 8))
