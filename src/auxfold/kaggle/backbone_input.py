"""The backbone as an input of a notebook: a Kaggle model or dataset."""

from __future__ import annotations

from pathlib import Path

from transformers.utils import CONFIG_NAME

from auxfold.errors import InputError, list_first

MAX_NAMED = 5  # folders in a message


def find_backbone(bundle: Path, root: Path, source: str) -> Path:
    """The folder with the backbone, below that of all inputs.

    Args:
        bundle: the mounted dataset.
        root: the folder of all inputs.
        source: ``owner/model/framework/variation/version`` of a Kaggle model, or ``owner/name`` of
            a dataset.

    Raises:
        InputError: it is not attached, or it has several models.
    """
    # Older machines mount a dataset as /kaggle/input/<name>, newer ones with folders in front.
    names = [part.lower() for part in source.split("/")[1:]]
    folders = [
        path.parent
        for path in sorted(root.rglob(CONFIG_NAME))
        if bundle not in path.parents and _has_parts(path.relative_to(root), names)
    ]
    top = min((len(folder.parts) for folder in folders), default=0)
    matches = [folder for folder in folders if len(folder.parts) == top]
    if not matches:
        raise InputError(
            f"no {CONFIG_NAME} of {source} below {root}; attach it to the notebook, with its files "
            f"in Hugging Face's form"
        )
    if len(matches) > 1:
        raise InputError(
            f"{source} has several models: {list_first(matches, MAX_NAMED)}; make a dataset with "
            f"one of them, and give it as --backbone-source"
        )
    return matches[0]


def _has_parts(path: Path, names: list[str]) -> bool:
    """Whether a path goes through folders of these names, one directly in the other."""
    parts = [part.lower() for part in path.parts]
    return any(parts[i : i + len(names)] == names for i in range(len(parts)))
