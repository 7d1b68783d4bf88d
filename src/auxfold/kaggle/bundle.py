"""Write everything that a submission on Kaggle needs: a dataset folder and a notebook folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers.utils import SAFE_WEIGHTS_NAME

import auxfold
from auxfold.config.experiment import to_toml
from auxfold.data.files import read_header
from auxfold.data.reader import copy_reader
from auxfold.errors import InputError
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.merge import load_merged_fold, refers_to_backbone
from auxfold.inference.soup import make_soup
from auxfold.inference.submission import match_columns
from auxfold.kaggle.fold_copy import (
    MODEL_FILES,
    check_fold_files,
    copy_file,
    copy_fold_files,
)
from auxfold.kaggle.manifest import EXPERIMENT, MANIFEST, METADATA, sha256
from auxfold.kaggle.names import KaggleNames, path_in_competition
from auxfold.kaggle.versions import installed_versions
from auxfold.model.multitask import MultiTaskModel
from auxfold.storage.atomic import atomic_write, atomic_write_folder, write_json, write_text
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import SOUP, FoldFolder, RunFolder

NOTEBOOK = "kaggle_inference.ipynb"
SOUP_FOLD = f"fold_{SOUP}"


def write_bundle(
    source: Ensemble | Blend,
    names: KaggleNames,
    notebook: Path,
    dtype_name: str,
    overwrite: bool = False,
) -> Path:
    """Write ``outputs/<name>/kaggle/`` with its ``dataset`` and ``kernel`` folders.

    Args:
        source: the folds to bundle, or the runs of a blend.
        names: names of the dataset and the notebook on Kaggle.
        notebook: the notebook to push.
        dtype_name: number format of the stored weights, ``fp16`` or ``fp32``.
        overwrite: whether to replace an existing bundle.

    Returns:
        The folder.

    Raises:
        InputError: there is a bundle already, the predictions would not be what the competition
            expects, or a file of a fold is missing, damaged or a link to elsewhere.
    """
    check_predictable(source)
    for fold in [fold for run in _bundled_runs(source) for fold in run.ensemble.folders]:
        check_fold_files(fold)
    run = source.folder if isinstance(source, Blend) else RunFolder.of(source.experiment)
    folder = run.kaggle
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists; give --overwrite to replace it")

    def write(unfinished: Path) -> None:
        _write_dataset(unfinished / "dataset", source, names, dtype_name)
        _write_kernel(unfinished / "kernel", names, notebook)

    atomic_write_folder(folder, write, overwrite=overwrite)
    return folder


def check_predictable(source: Ensemble | Blend) -> None:
    """Refuse what would fail on Kaggle.

    Raises:
        InputError: a run of a blend reads other columns or another test file than the first run, or
            the sample submission has a column that the blend does not predict.
    """
    if isinstance(source, Ensemble):
        return
    first = source.experiment.data
    for run in _bundled_runs(source):
        name, data = run.ensemble.experiment.name, run.ensemble.experiment.data
        for key in ("id", "text", "reader"):
            if getattr(data, key) != getattr(first, key):
                raise InputError(
                    f"run {name} has data.{key} = {getattr(data, key)!r}, the first run "
                    f"{getattr(first, key)!r}: on Kaggle all runs read one test file"
                )
        if data.test and first.test and not _is_same_file(data.test, first.test):
            raise InputError(
                f"run {name} predicts {data.test}, the first run {first.test}: on Kaggle all runs "
                f"read one test file"
            )
    sample = first.sample_submission
    if sample and Path(sample).is_file():
        match_columns(sample, read_header(sample)[1:], source.tasks)


@dataclass(frozen=True)
class BundledRun:
    """A run within the dataset.

    Attributes:
        path: its folder within the dataset; ``.`` for the run of an experiment.
        ensemble: its folds.
        index: its index in the blend.
        predicts: whether its models are used. Otherwise only its experiment is.
    """

    path: str
    ensemble: Ensemble
    index: int = 0
    predicts: bool = True

    @property
    def is_soup(self) -> bool:
        """Whether one model with the mean of the folds' weights predicts."""
        return self.predicts and self.ensemble.experiment.inference.average == SOUP

    @property
    def fold_names(self) -> list[str]:
        """The names of the folds' folders; a soup is one fold."""
        return [SOUP_FOLD] if self.is_soup else [f.path.name for f in self.ensemble.folders]

    def folds(self) -> list[str]:
        """The paths of the folds within the dataset."""
        return [(Path(self.path) / name).as_posix() for name in self.fold_names]


def _bundled_runs(source: Ensemble | Blend) -> list[BundledRun]:
    """The run of an experiment, or the runs of a blend that have a weight."""
    if isinstance(source, Ensemble):
        return [BundledRun(".", source)]
    runs, weighted = [], source.weighted_members()
    for index, member in enumerate(source.members):
        path = f"runs/{member.folders[0].path.parent.name}"
        if index in weighted:
            runs.append(BundledRun(path, member, index))
        elif index == 0:  # its ids, tasks and sample submission are used, but none of its models
            first_fold = replace(member, folders=member.folders[:1])
            runs.append(BundledRun(path, first_fold, predicts=False))
    return runs


def _write_dataset(
    folder: Path, source: Ensemble | Blend, names: KaggleNames, dtype_name: str
) -> None:
    runs = _bundled_runs(source)
    for run in runs:
        _write_folds(folder / run.path, run, dtype_name)
        write_text(folder / run.path / EXPERIMENT, to_toml(run.ensemble.experiment))
        if run.ensemble.experiment.data.reader is not None:
            copy_reader(run.ensemble.experiment.data, folder / "src")
    _write_postprocess_and_weights(RunFolder(folder), source, runs)
    package = Path(auxfold.__file__).parent
    shutil.copytree(
        package, folder / "src/auxfold", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    # The runs take turns, fold by fold, so that a spent time budget costs each of them the same.
    rounds = zip_longest(*[run.folds() for run in runs if run.predicts])
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "auxfold": auxfold.__version__,
        "experiment": source_name(source),
        "competition": names.competition,
        "runs": {run.path: run.fold_names for run in runs},
        "folds": [fold for folds in rounds for fold in folds if fold is not None],
        "precision": dtype_name,
        "versions": installed_versions(),
        "sample_columns": _sample_columns(source),
        "files": {path.relative_to(folder).as_posix(): sha256(path) for path in paths},
    }
    write_json(folder / MANIFEST, manifest)
    metadata = {"title": names.title, "id": names.dataset, "licenses": [{"name": "other"}]}
    write_json(folder / METADATA, metadata)


def _is_same_file(path: str, other: str) -> bool:
    return path_in_competition(path) == path_in_competition(other)


def _sample_columns(source: Ensemble | Blend) -> list[str] | None:
    """The columns of the sample submission, by which it is recognized on Kaggle."""
    path = source.experiment.data.sample_submission
    return read_header(path) if path and Path(path).is_file() else None


def _write_postprocess_and_weights(
    folder: RunFolder, source: Ensemble | Blend, runs: list[BundledRun]
) -> None:
    """Thresholds and calibration next to the folds; for a blend also the weights of its runs."""
    if isinstance(source, Ensemble):
        stored = source.run_folder.postprocess
        if stored.is_file():
            copy_file(stored, folder.postprocess, source.run_folder.path)
        return
    record = {key: source.record[key] for key in ("method", "average", "power", "tasks")}
    members = source.record["members"]
    record["members"] = [{**members[run.index], "path": run.path} for run in runs]
    record["weights"] = {
        column: [weights[run.index] for run in runs]
        for column, weights in source.record["weights"].items()
    }
    if "postprocess" in source.record:
        record["postprocess"] = source.record["postprocess"]
    write_record(folder.blend, record)


def source_name(source: Ensemble | Blend) -> str:
    """The name of the experiment or of the blend."""
    return source.folder.path.name if isinstance(source, Blend) else source.experiment.name


def _write_folds(folder: Path, run: BundledRun, dtype_name: str) -> None:
    """The models of a run, and what else predictions need."""
    folds = run.ensemble.folders
    if run.is_soup:
        _write_model(folds[0], make_soup(folds), folder / SOUP_FOLD)
    else:
        for fold in folds:
            if refers_to_backbone(fold):  # there is no hub on Kaggle, and maybe no peft
                _write_model(fold, load_merged_fold(fold), folder / fold.path.name)
            else:
                copy_fold_files(fold, folder / fold.path.name)
    for path in folder.glob(f"fold_*/{SAFE_WEIGHTS_NAME}") if dtype_name == "fp16" else ():
        # Written to another file first, because the tensors may still be mapped from this one.
        atomic_write(path, partial(save_file, _load_as_fp16(path), metadata={"format": "pt"}))


def _write_model(fold: FoldFolder, model: MultiTaskModel, target: Path) -> None:
    """A model that is not stored as such, with the other files of a fold."""
    copy_fold_files(fold, target, without=MODEL_FILES)
    model.save_pretrained(target)


def _load_as_fp16(path: Path) -> dict[str, torch.Tensor]:
    """The weights in fp16, which halves the upload.

    Raises:
        InputError: a weight is too large for fp16.
    """
    weights = {}
    for name, values in load_file(path).items():
        weights[name] = values.to(torch.float16) if values.is_floating_point() else values
        if not torch.isfinite(weights[name]).all():
            raise InputError(f"{path}: {name} does not fit into fp16; give --precision fp32")
    return weights


def _write_kernel(folder: Path, names: KaggleNames, notebook: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copy2(notebook, folder / NOTEBOOK)
    metadata = {
        "id": names.notebook,
        "title": names.notebook_title,
        "code_file": NOTEBOOK,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": True,
        "machine_shape": "NvidiaTeslaT4",
        "enable_internet": False,
        "dataset_sources": [names.dataset],
        "competition_sources": [names.competition],
        "kernel_sources": [],
        "model_sources": [],
    }
    write_json(folder / "kernel-metadata.json", metadata)


def kaggle_commands(folder: Path, names: KaggleNames) -> list[str]:
    """The commands from the bundle to a score, in order."""
    dataset, kernel = folder / "dataset", folder / "kernel"
    return [
        f"kaggle datasets create -p {dataset} -r zip            # the first time",
        f'kaggle datasets version -p {dataset} -r zip -m "new folds"  # later',
        f"kaggle kernels push -p {kernel} --accelerator NvidiaTeslaT4",
        f"kaggle kernels status {names.notebook}",
        f"kaggle competitions submit {names.competition} -k {names.notebook} -v 1 "
        f'-f submission.csv -m "{names.title}"',
    ]
