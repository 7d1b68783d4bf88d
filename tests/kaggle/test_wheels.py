"""Wheels: in an environment with nothing but Python, and against pyproject.toml."""

from __future__ import annotations

import json
import subprocess
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from auxfold.kaggle import wheels
from auxfold.kaggle.training_manifest import TRAINING_MANIFEST
from auxfold.kaggle.wheels import (
    NOT_ON_KAGGLE,
    REQUIREMENTS,
    list_unmet,
    package_name,
    required_packages,
)
from conftest import make_experiment

ROOT = Path(__file__).parents[2]
MANIFEST = {
    "experiment": "tiny", "competition": "tiny-comments", "folds": [0], "hours": 1.0,
    "gpus_per_fold": 1, "backbone": None, "paths": {}, "files": {},
}  # fmt: skip
INSTALL = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from auxfold.errors import InputError
from auxfold.kaggle.wheels import install_missing

try:
    print(install_missing(Path(sys.argv[2])))
except InputError as error:
    print(f"refused: {error}")
"""


def write_bundle(folder: Path, *requirements: str) -> None:
    (folder / "wheels").mkdir(parents=True, exist_ok=True)
    manifest = {**MANIFEST, "requirements": list(requirements)}
    (folder / TRAINING_MANIFEST).write_text(json.dumps(manifest))


def write_wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", metadata)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        files = [f"{name}.py", *(f"{info}/{part}" for part in ("METADATA", "WHEEL", "RECORD"))]
        wheel.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in files))


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A Python without any package but pip."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    return folder / "bin/python"


def run(python: Path, program: str, *arguments: object) -> str:
    process = subprocess.run([python, "-c", program, *map(str, arguments)], capture_output=True,
                             text=True, env={"PATH": "/usr/bin:/bin"})  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_only_what_is_missing_or_too_old_is_installed(python, tmp_path):
    """The first cell needs no package at all, so that it can replace any."""
    write_bundle(tmp_path, "frog>=2", "toad[green]>=1.5,<3", "pip>=1")
    write_wheel(tmp_path / "wheels", "frog", "2.1", requires="newt>=1")
    write_wheel(tmp_path / "wheels", "newt", "1.0")
    write_wheel(tmp_path / "wheels", "toad", "2.0")
    source = ROOT / "src"
    assert run(python, INSTALL, source, tmp_path) == (
        "packages: frog is missing, toad is missing; installed from the bundle's wheels"
    )
    versions = "import frog, newt, toad; print(frog.version, newt.version, toad.version)"
    assert run(python, versions) == "2.1 1.0 2.0"

    write_wheel(tmp_path / "wheels", "newt", "9.0")
    write_bundle(tmp_path, "frog>=2.2", "toad>=1.5")
    write_wheel(tmp_path / "wheels", "frog", "2.3", requires="newt>=1")
    assert run(python, INSTALL, source, tmp_path) == (
        "packages: frog 2.1 is too old; installed from the bundle's wheels"
    )
    assert run(python, versions) == "2.3 1.0 2.0", "what is recent enough stays"

    assert run(python, INSTALL, source, tmp_path) == (
        "packages: all are recent enough, none is installed"
    )
    write_bundle(tmp_path, "heron>=1")
    refusal = run(python, INSTALL, source, tmp_path)
    assert refusal.startswith("refused: heron is missing, and pip cannot install from ")
    assert "No matching distribution found for heron>=1" in refusal and "--wheels" in refusal
    assert "\n" not in refusal


def test_versions_are_compared_as_numbers(monkeypatch):
    installed = {"frog": "2.10.1+cu126", "toad": "2.8"}
    monkeypatch.setattr(wheels, "package_version", installed.get)
    unmet = list_unmet(["frog>=2.9", "toad>=2.8", "toad>=2.8.1,<9", "newt"])
    assert unmet == {"toad>=2.8.1,<9": "toad 2.8 is too old", "newt": "newt is missing"}


def test_the_requirements_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    known = {*project["dependencies"], *extras}
    conditional = [
        requirement
        for name, value in vars(wheels).items()
        if name.endswith("_REQUIREMENTS")
        for requirement in value
    ]
    assert {*REQUIREMENTS, *conditional} <= known
    names = {package_name(requirement) for requirement in conditional}
    assert set(NOT_ON_KAGGLE) <= names


@pytest.mark.parametrize(
    ("changes", "paths", "names"),
    [
        ({}, [], ["iterative-stratification"]),
        ({"folds": {"n_splits": 5, "validation": "valid.csv"}}, [], []),
        ({"model": {"adapter": {"kind": "lora"}}}, [], ["iterative-stratification", "peft"]),
        ({"model": {"adapter": {"kind": "pfeiffer"}}}, [], ["iterative-stratification"]),
        ({}, ["input/more.xlsx"], ["iterative-stratification", "python-calamine"]),
        ({"task_weighting": {"method": "pcgrad"}}, [], ["iterative-stratification", "torchjd"]),
        (
            {"model": {"adapter": {"kind": "lora"}, "quantization": "nf4"}},
            [],
            ["iterative-stratification", "peft", "bitsandbytes"],
        ),
        (
            {"train": {"optimizer": "paged_adamw_8bit"}},
            [],
            ["iterative-stratification", "bitsandbytes"],
        ),
    ],
)
def test_an_experiment_needs_the_packages_that_it_uses(changes, paths, names):
    experiment = make_experiment("train.csv", "backbone", **changes)
    required = required_packages(experiment, paths)
    assert required[: len(REQUIREMENTS)] == list(REQUIREMENTS)
    assert [package_name(r) for r in required[len(REQUIREMENTS) :]] == names
