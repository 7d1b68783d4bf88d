"""The experiment of a training bundle with the paths that its files have on Kaggle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auxfold.config.experiment import Experiment, load_experiment
from auxfold.kaggle.backbone_input import find_backbone
from auxfold.kaggle.inputs import FileFinder, competition_folders, has_columns
from auxfold.kaggle.manifest import EXPERIMENT, check_files
from auxfold.kaggle.training_manifest import (
    BACKBONE,
    TRAINING_MANIFEST,
    read_training_manifest,
)


def locate_experiment(bundle: Path, root: Path) -> Experiment:
    """The experiment of a bundle, which reads the files of the competition where they are here.

    Args:
        bundle: the mounted dataset.
        root: the folder of all inputs.

    Raises:
        InputError: the bundle is damaged, a file of the competition or the backbone is not there,
            or several could be it.
    """
    manifest = read_training_manifest(bundle)
    check_files(bundle, manifest["files"], TRAINING_MANIFEST)
    # The code that the experiment names may run, as the bundle also brings the package itself.
    experiment = load_experiment(bundle / EXPERIMENT, trust_reader=True)
    folders = competition_folders(root, manifest["competition"], bundle)
    paths = {
        home_path: _locate_file(entry, bundle, root, manifest["competition"], folders)
        for home_path, entry in manifest["paths"].items()
    }
    source = manifest["backbone"]
    backbone = bundle / BACKBONE if source is None else find_backbone(bundle, root, source)
    return with_paths(experiment, paths, str(backbone))


def _locate_file(
    entry: dict[str, Any], bundle: Path, root: Path, competition: str, folders: list[Path]
) -> str:
    """Where a data file is: in the bundle, or in the competition's folder."""
    if entry["bundled"]:
        return str(bundle / entry["path"])
    columns = entry["columns"]
    finder = FileFinder(folders, root, competition, lambda path: has_columns(path, columns))
    return str(finder.find(str(Path("input", competition, entry["path"]))))


def with_paths(experiment: Experiment, paths: dict[str, str], backbone: str) -> Experiment:
    """The experiment with other paths.

    Args:
        experiment: as it was bundled.
        paths: path at home to path here, of every data file.
        backbone: the folder with the backbone.
    """
    data, folds = experiment.data, experiment.folds
    is_file = isinstance(data.train, str)
    sources = [  # with the names that they have by their paths at home
        source.model_copy(update={"path": paths[source.path], "name": name})
        for source, name in zip(data.sources, data.source_names, strict=True)
    ]
    data_update = {
        "train": sources[0].path if is_file else sources,
        "test": paths[str(data.test)],
        "test_labels": None,
    }
    if data.sample_submission is not None:
        data_update["sample_submission"] = paths[data.sample_submission]
    folds_update = {}
    if folds.validation_file is not None:
        folds_update["validation"] = paths[folds.validation_file]
    return experiment.model_copy(
        update={
            "data": data.model_copy(update=data_update),
            "folds": folds.model_copy(update=folds_update),
            "model": experiment.model.model_copy(update={"backbone": backbone}),
        }
    )
