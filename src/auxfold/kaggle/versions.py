"""The versions that a bundle was written with, and those of the notebook that it runs in.

The notebook calls this before anything else is imported, so that an environment that is too old is
one line and not the traceback of some import.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

from auxfold.errors import InputError
from auxfold.kaggle.manifest import read_manifest
from auxfold.storage.provenance import package_version

PACKAGES = ("torch", "transformers", "tokenizers")
MINIMUM = {"python": "3.11", "torch": "2.8", "transformers": "5.0"}  # those of pyproject.toml
WAY_OUT = (
    "choose the latest environment in the notebook's settings, or attach a dataset of wheels and "
    "run pip install --no-index --find-links"
)


def installed_versions() -> dict[str, str | None]:
    """Python and the packages on which the predictions depend; None where one is missing."""
    packages = {package: package_version(package) for package in PACKAGES}
    return {"python": platform.python_version(), **packages}


def check_versions(bundle: Path) -> str:
    """Compare the versions here with those of the bundle.

    Args:
        bundle: the mounted dataset.

    Returns:
        One line: what is here, what the bundle was written with, and what to do.

    Raises:
        InputError: a package is missing or too old for the bundle's code; or the manifest is
            damaged.
    """
    bundled = read_manifest(bundle)["versions"]
    here = installed_versions()
    for name, minimum in MINIMUM.items():
        version = here[name]
        if version is None or parse_release(version) < parse_release(minimum):
            raise InputError(
                f"{name} {version or 'is missing'} here, bundled with {bundled.get(name)}, needed "
                f"is {minimum} or later; {WAY_OUT}"
            )
    different = [name for name, version in bundled.items() if here.get(name) != version]
    if not different:
        return f"versions as bundled: {_format(bundled, bundled)}"
    return (
        f"versions: bundled with {_format(bundled, different)}, here {_format(here, different)}; "
        f"predictions may differ in the last digits. If loading fails, {WAY_OUT}"
    )


def _format(versions: dict[str, str | None], names: list[str] | dict[str, str | None]) -> str:
    return ", ".join(f"{name} {versions.get(name) or 'missing'}" for name in names)


def parse_release(version: str) -> list[int]:
    """``[2, 8, 0]`` of ``2.8.0+cu126``."""
    return [int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3]]
