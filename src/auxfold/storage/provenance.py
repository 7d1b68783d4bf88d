"""What a run was made with: versions, hardware, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from typing import Any


def provenance() -> dict[str, Any]:
    """Versions, machine and git commit, for ``run.json``."""
    packages = (
        "auxfold",
        "torch",
        "transformers",
        "accelerate",
        "peft",
        "numpy",
        "pandas",
        "scikit-learn",
    )
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: package_version(name) for name in packages},
        "git": git_commit(),
        "git_changes": bool(_git("status", "--porcelain")),
    }


def git_commit() -> str | None:
    """The commit of the current directory; None without git."""
    return _git("rev-parse", "HEAD")


def package_version(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
