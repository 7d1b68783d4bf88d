"""Manifests of Kaggle bundles that were not written by a bundle."""

from __future__ import annotations

import json
from pathlib import Path

MANIFEST = {
    "auxfold": "0.2.0",
    "experiment": "tiny",
    "competition": "tiny-comments",
    "runs": {".": ["fold_0"]},
    "folds": ["fold_0"],
    "precision": "fp16",
    "versions": {"python": "3.11.9"},
    "requirements": [],
    "backbone": None,
    "sample_columns": None,
    "files": {"fold_0/config.json": "0" * 64},
}


def write_manifest(bundle: Path, **changes: object) -> Path:
    """A complete manifest with these values; its path."""
    path = bundle / "auxfold_manifest.json"
    path.write_text(json.dumps(MANIFEST | changes))
    return path
