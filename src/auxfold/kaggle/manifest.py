"""What both sides of a bundle share: the manifest, the names of its files, and their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from auxfold.errors import InputError

MANIFEST = "auxfold_manifest.json"
METADATA = "dataset-metadata.json"  # for the kaggle command; it is not mounted
EXPERIMENT = "experiment.toml"  # of a run, as it was bundled
# What the manifest holds: always, and where there is such a thing.
_TYPES = {
    "experiment": str, "competition": str, "precision": str, "folds": list, "runs": dict,
    "versions": dict, "requirements": list, "files": dict,
}  # fmt: skip
_OPTIONAL_TYPES = {"sample_columns": list, "backbone": str}


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(bundle: Path, files: dict[str, str], manifest_name: str) -> None:
    """Refuse a bundle in which a file is missing, is another one, or was not bundled.

    Args:
        bundle: the mounted dataset.
        files: path in the bundle to SHA-256.
        manifest_name: the file with the manifest, which does not list itself.

    Raises:
        InputError: naming the file.
    """
    root = bundle.resolve()
    for name, digest in files.items():
        path = bundle / name
        if not path.resolve().is_relative_to(root):
            raise InputError(f"{path} is a link out of the bundle; upload the dataset again")
        if not path.is_file():
            raise InputError(f"{path} is missing; upload the dataset again with `-r zip`")
        if sha256(path) != digest:
            raise InputError(f"{path} is not the file that was bundled; upload the dataset again")
    for path in _unlisted_files(bundle, {*files, manifest_name, METADATA}):
        raise InputError(
            f"{path} is not a file of the bundle; bundle again, and upload the dataset again"
        )


def _unlisted_files(bundle: Path, listed: set[str]) -> Iterator[Path]:
    """Other files, and links to folders; not what Python caches."""
    for path in sorted(bundle.rglob("*")):
        is_folder = path.is_dir() and not path.is_symlink()
        name = path.relative_to(bundle)
        if not is_folder and name.as_posix() not in listed and "__pycache__" not in name.parts:
            yield path


def read_manifest(bundle: Path) -> dict[str, Any]:
    """The manifest of a bundle.

    Raises:
        InputError: there is none, it is damaged, or it names a path that leaves the bundle.
    """
    path = bundle / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        _check_manifest(manifest)
    except FileNotFoundError:
        raise InputError(
            f"no {path}; attach the dataset that scripts/bundle_kaggle.py wrote"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({error}); bundle again, and upload the dataset again"
        ) from None
    return manifest


def _check_manifest(manifest: Any) -> None:
    """Refuse what :func:`read_manifest` does not expect.

    Raises:
        ValueError: naming it.
    """
    _check_types(manifest)
    files, folds = manifest["files"], []
    for run, names in manifest["runs"].items():
        if not isinstance(names, list) or not names:
            raise ValueError(f"the run {run!r} has no folds")
        folds += [_join(run, name) for name in names]
    for name in [*files, *folds]:
        _check_inside(name)
    unknown = [fold for fold in manifest["folds"] if fold not in folds]
    if unknown or not manifest["folds"]:
        raise ValueError(f"{unknown[0]!r} is a fold of no run" if unknown else "it names no fold")
    missing = [fold for fold in folds if _join(fold, "config.json") not in files]
    if missing:
        raise ValueError(f"no file of {missing[0]!r} is listed")


def _check_types(manifest: Any) -> None:
    if not isinstance(manifest, dict):
        raise ValueError("it is no JSON object")
    for key, kind in _TYPES.items():
        if not isinstance(manifest.get(key), kind):
            raise ValueError(f"{key!r} is missing or of another type")
    for key, kind in _OPTIONAL_TYPES.items():
        if not isinstance(manifest.get(key), (kind, type(None))):
            raise ValueError(f"{key!r} is of another type")


def _join(*parts: object) -> str:
    return PurePosixPath(*map(str, parts)).as_posix()


def _check_inside(name: str) -> None:
    """Refuse a path that leaves the bundle, on any system."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise ValueError(f"it names {name!r}, which is no path within the bundle")
