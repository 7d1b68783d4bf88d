"""The packages that a training needs on Kaggle, installed from the bundle's wheels where needed.

The notebook calls :func:`install_missing` before anything else is imported. So only the standard
library is imported here, and a package that is too old is replaced before anybody has loaded it.
"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from auxfold.errors import InputError
from auxfold.kaggle.training_manifest import WHEELS, read_training_manifest
from auxfold.kaggle.versions import WAY_OUT, parse_release
from auxfold.storage.provenance import package_version

if TYPE_CHECKING:
    from auxfold.config.experiment import Experiment

# Those of pyproject.toml that every training imports.
REQUIREMENTS = (
    "torch>=2.8",
    "transformers>=5.0",
    "accelerate>=1.10",
    "safetensors>=0.4.3",
    "huggingface_hub>=1.0",
    "pandas>=2.2",
    "pyarrow>=15",
    "numpy>=1.26",
    "scipy>=1.11",
    "pydantic>=2.7",
)
FOLD_REQUIREMENTS = ("iterative-stratification>=0.1.9",)
ADAPTER_REQUIREMENTS = ("peft>=0.18",)
QUANTIZATION_REQUIREMENTS = ("bitsandbytes>=0.50,<1",)
SURGERY_REQUIREMENTS = ("torchjd[cagrad,quadprog_projector]>=0.18,<1",)
SPREADSHEET_REQUIREMENTS = ("python-calamine>=0.2",)
SPREADSHEETS = (".xlsx", ".xls", ".xlsb", ".ods")
# Kaggle's image has none of these.
NOT_ON_KAGGLE = ("iterative-stratification", "bitsandbytes", "torchjd", "python-calamine")
PIP_SECONDS = 900


def required_packages(experiment: Experiment, paths: list[str]) -> list[str]:
    """The packages that an experiment needs in training and prediction, in pip's form.

    Args:
        experiment: what is trained.
        paths: the data files that are read.
    """
    adapter = experiment.model.adapter
    uses = {
        FOLD_REQUIREMENTS: not isinstance(experiment.folds.validation, str),
        **adapter_uses(None if adapter is None else adapter.kind, _uses_bitsandbytes(experiment)),
        SURGERY_REQUIREMENTS: experiment.task_weighting.method in ("pcgrad", "cagrad", "upgrad"),
        SPREADSHEET_REQUIREMENTS: any(path.endswith(SPREADSHEETS) for path in paths),
    }
    return [*REQUIREMENTS, *(name for names, used in uses.items() if used for name in names)]


def adapter_uses(kind: str | None, uses_bitsandbytes: bool) -> dict[tuple[str, ...], bool]:
    """The requirements of adapters and of quantized weights, each with whether it is needed.

    Args:
        kind: ``model.adapter.kind``; None: there is no adapter.
        uses_bitsandbytes: whether weights are quantized, or moments have 8 bits.
    """
    is_of_peft = kind in ("lora", "dora", "ia3")
    return {ADAPTER_REQUIREMENTS: is_of_peft, QUANTIZATION_REQUIREMENTS: uses_bitsandbytes}


def _uses_bitsandbytes(experiment: Experiment) -> bool:
    return experiment.model.quantization is not None or "8bit" in experiment.train.optimizer


def package_name(requirement: str) -> str:
    """``torchjd`` of ``torchjd[cagrad]>=0.18,<1``."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, "a requirement starts with a name"
    return match[0]


def list_wheels(folder: Path | None) -> list[Path]:
    """The wheels in a folder.

    Raises:
        InputError: there are none.
    """
    wheels = [] if folder is None else sorted(folder.glob("*.whl"))
    if folder is not None and not wheels:
        raise InputError(f"--wheels {folder}: no file *.whl there; pip download writes them")
    return wheels


def check_wheels(requirements: list[str], folder: Path | None) -> None:
    """Refuse a package that Kaggle's image lacks and that has no wheel.

    Args:
        requirements: the packages that are needed, in pip's form.
        folder: a folder of wheels; None: there are none.

    Raises:
        InputError: with the command that downloads it.
    """
    available = {_normalize(wheel.name.split("-")[0]) for wheel in list_wheels(folder)}
    for requirement in requirements:
        name = package_name(requirement)
        if name in NOT_ON_KAGGLE and _normalize(name) not in available:
            raise InputError(
                f"Kaggle's image has no {name}; run pip download --no-deps --dest wheels "
                f"'{requirement}', and give --wheels wheels"
            )


def copy_wheels(folder: Path | None, target: Path) -> None:
    """Copy the wheels of a folder into a new one, unless there are none."""
    for wheel in list_wheels(folder):
        target.mkdir(exist_ok=True)
        shutil.copyfile(wheel, target / wheel.name)


def _normalize(name: str) -> str:
    """The name of a package in one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def list_unmet(requirements: list[str]) -> dict[str, str]:
    """The requirements that are missing or too old here, each with what is here in words."""
    unmet = {}
    for requirement in requirements:
        name, minimum = package_name(requirement), re.search(r">=([\d.]+)", requirement)
        version = package_version(name)
        if version is None:
            unmet[requirement] = f"{name} is missing"
        elif minimum is not None and parse_release(version) < parse_release(minimum[1]):
            unmet[requirement] = f"{name} {version} is too old"
    return unmet


def install_missing(bundle: Path) -> str:
    """Install the packages that are missing or too old here, from the wheels of a bundle.

    Packages that are recent enough stay as they are. There is no network.

    Args:
        bundle: the mounted dataset.

    Returns:
        One line: what was installed, and why.

    Raises:
        InputError: a wheel is missing, or pip refuses; or the manifest is damaged.
    """
    return install_requirements(read_training_manifest(bundle)["requirements"], bundle / WHEELS)


def install_requirements(requirements: list[str], wheels: Path) -> str:
    """Install what is missing or too old here; see :func:`install_missing`.

    Args:
        requirements: the packages that are needed, in pip's form.
        wheels: a folder of wheels, which may not exist.

    Returns:
        One line: what was installed, and why.

    Raises:
        InputError: a wheel is missing, or pip refuses.
    """
    unmet = list_unmet(requirements)
    if not unmet:
        return "packages: all are recent enough, none is installed"
    reasons = ", ".join(unmet.values())
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--find-links", str(wheels), *unmet]
    process = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
    if process.returncode:
        lines = [line for line in process.stderr.splitlines() if line.startswith("ERROR")]
        raise InputError(
            f"{reasons}, and pip cannot install from {wheels}: "
            f"{' '.join(lines) or process.stderr.strip()[-300:]}; bundle again with --wheels, a "
            f"folder of wheels that has them, or {WAY_OUT}"
        )
    importlib.invalidate_caches()
    if still := list_unmet(list(unmet)):
        raise InputError(f"{', '.join(still.values())} although pip has installed it from {wheels}")
    return f"packages: {reasons}; installed from the bundle's wheels"
