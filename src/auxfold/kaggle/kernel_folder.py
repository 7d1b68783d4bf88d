"""The folder with a notebook that ``kaggle kernels push`` uploads."""

from __future__ import annotations

import shutil
from pathlib import Path

from auxfold.kaggle.names import KaggleNames, is_kaggle_model
from auxfold.storage.atomic import write_json


def write_kernel_folder(
    folder: Path,
    notebook: Path,
    file_name: str,
    names: KaggleNames,
    backbone_source: str | None = None,
    kernel_sources: list[str] | None = None,
) -> None:
    """Write a notebook for two T4 GPUs without internet, and what is attached to it.

    Args:
        folder: the folder, which is made.
        notebook: the notebook.
        file_name: what it is called in the folder.
        names: names of its dataset and of itself on Kaggle.
        backbone_source: the Kaggle model or dataset with the backbone; None: it needs none.
        kernel_sources: notebooks whose output is attached.
    """
    folder.mkdir(parents=True)
    shutil.copy2(notebook, folder / file_name)
    sources = [] if backbone_source is None else [backbone_source]
    metadata = {
        "id": names.notebook,
        "title": names.notebook_title,
        "code_file": file_name,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": True,
        "machine_shape": "NvidiaTeslaT4",
        "enable_internet": False,
        "dataset_sources": [names.dataset, *(s for s in sources if not is_kaggle_model(s))],
        "competition_sources": [names.competition],
        "kernel_sources": kernel_sources or [],
        "model_sources": [s for s in sources if is_kaggle_model(s)],
    }
    write_json(folder / "kernel-metadata.json", metadata)
