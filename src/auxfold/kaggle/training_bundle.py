"""Write everything that a training on Kaggle needs: a dataset folder and a notebook folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import auxfold
from auxfold.config.experiment import Experiment, to_toml
from auxfold.data.reader import copy_reader, read_data_header
from auxfold.errors import InputError
from auxfold.kaggle.kernel_folder import write_kernel_folder
from auxfold.kaggle.manifest import EXPERIMENT, METADATA, sha256
from auxfold.kaggle.names import competition_folder
from auxfold.kaggle.training_manifest import BACKBONE, FILES, SOURCE, TRAINING_MANIFEST, WHEELS
from auxfold.kaggle.training_plan import TrainingPlan, data_paths
from auxfold.kaggle.versions import installed_versions
from auxfold.kaggle.wheels import copy_wheels
from auxfold.model.published_files import list_published_files
from auxfold.model.reference import backbone_path
from auxfold.storage.atomic import atomic_write_folder, write_json, write_text
from auxfold.storage.run_folder import RunFolder

NOTEBOOK = "kaggle_training.ipynb"
READ_ENDINGS = (".json", ".txt", ".model", ".codes", ".jinja", ".py")


def write_training_bundle(plan: TrainingPlan, notebook: Path, overwrite: bool = False) -> Path:
    """Write ``outputs/<name>/kaggle_training/`` with its ``dataset`` and ``kernel`` folders.

    Args:
        plan: what is trained; it is checked.
        notebook: the notebook to push.
        overwrite: whether to replace an existing bundle.

    Returns:
        The folder.

    Raises:
        InputError: there is a bundle already, or the backbone is not here.
    """
    folder = RunFolder.of(plan.experiment).kaggle_training
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists; give --overwrite to replace it")

    def write(unfinished: Path) -> None:
        _write_dataset(unfinished / "dataset", plan)
        write_kernel_folder(
            unfinished / "kernel",
            notebook,
            NOTEBOOK,
            plan.names,
            plan.backbone_source,
            kernel_sources=[plan.names.notebook] if plan.resumes else [],
        )

    atomic_write_folder(folder, write, overwrite=overwrite)
    return folder


def _write_dataset(folder: Path, plan: TrainingPlan) -> None:
    experiment, names = plan.experiment, plan.names
    package = Path(auxfold.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(package, folder / SOURCE / "auxfold", ignore=ignored)
    write_text(folder / EXPERIMENT, to_toml(experiment))
    if experiment.data.reader is not None:
        copy_reader(experiment.data, folder / SOURCE)
    if plan.backbone_source is None:
        copy_backbone(experiment, folder / BACKBONE)
    copy_wheels(plan.wheels, folder / WHEELS)
    manifest = {
        "auxfold": auxfold.__version__,
        "experiment": experiment.name,
        "competition": names.competition,
        "folds": plan.folds,
        "hours": plan.hours,
        "gpus_per_fold": plan.gpus_per_fold,
        "backbone": plan.backbone_source,
        "paths": _copy_data(folder, experiment),
        "requirements": plan.requirements(),
        "versions": installed_versions(),
    }
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest["files"] = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}
    write_json(folder / TRAINING_MANIFEST, manifest)
    metadata = {"title": names.title, "id": names.dataset, "licenses": [{"name": "other"}]}
    write_json(folder / METADATA, metadata)


def _copy_data(folder: Path, experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Where every data file is on Kaggle; files that the competition does not have are copied."""
    competition = competition_folder(str(experiment.data.test)).resolve()
    paths = {}
    for number, home_path in enumerate(data_paths(experiment)):
        path = Path(home_path).resolve()
        is_bundled = not path.is_relative_to(competition)
        if is_bundled:
            target = folder / FILES / f"{number}_{path.name}"
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
            location = target.relative_to(folder)
        else:
            location = path.relative_to(competition)
        # Columns tell files of one name apart. A custom reader would read all rows for them.
        has_columns = experiment.data.reader is None
        columns = read_data_header(experiment.data, home_path) if has_columns else None
        paths[home_path] = {"path": location.as_posix(), "bundled": is_bundled, "columns": columns}
    return paths


def copy_backbone(experiment: Experiment, folder: Path) -> None:
    """Copy the files of a backbone: configuration, tokenizer, weights and its own code.

    Args:
        experiment: names the backbone: a folder, a name on the hub, or ``embedded``.
        folder: where the files go.

    Raises:
        InputError: it is not on this machine.
    """
    name = backbone_path(experiment.model.backbone)
    try:
        published = list_published_files(name)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"model.backbone = {name!r} is neither a folder with a model nor in the hub's cache "
            f"here ({reason}); download it, or give --backbone-source with a Kaggle model or "
            f"dataset that has it"
        ) from None
    others = [path for path in sorted(published[0].parent.iterdir()) if _is_read(path)]
    folder.mkdir(parents=True)
    for path in dict.fromkeys([*published, *others]):
        shutil.copyfile(path, folder / path.name)


def _is_read(path: Path) -> bool:
    """Whether a file next to the weights may be one of a tokenizer, or code of the model."""
    is_index = path.name.endswith(".index.json")
    return path.is_file() and path.suffix in READ_ENDINGS and not is_index


def training_commands(folder: Path, plan: TrainingPlan) -> list[str]:
    """The commands from the bundle to a score, in order."""
    dataset, kernel, names = folder / "dataset", folder / "kernel", plan.names
    return [
        f"kaggle datasets create -p {dataset} -r zip            # the first time",
        f'kaggle datasets version -p {dataset} -r zip -m "new settings"  # later',
        f"kaggle kernels push -p {kernel} --accelerator NvidiaTeslaT4",
        f"kaggle kernels status {names.notebook}",
        f"kaggle competitions submit {names.competition} -k {names.notebook} -v 1 "
        f'-f submission.csv -m "{names.title}"',
    ]
