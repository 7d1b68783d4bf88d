"""What both sides of a bundle share: the names of its files, and their digests."""

from __future__ import annotations

import hashlib
from pathlib import Path

MANIFEST = "auxfold_manifest.json"
EXPERIMENT = "experiment.toml"  # of a run, as it was bundled


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
