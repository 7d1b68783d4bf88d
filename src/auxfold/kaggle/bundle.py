"""Write everything that a submission on Kaggle needs: a dataset folder and a notebook folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import auxfold
from auxfold.config.experiment import to_toml
from auxfold.data.files import read_header
from auxfold.data.reader import copy_reader
from auxfold.errors import InputError
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.merge import refers_to_backbone, write_merged_fold
from auxfold.inference.soup import write_soup
from auxfold.inference.submission import match_columns
from auxfold.kaggle.manifest import EXPERIMENT, MANIFEST, sha256
from auxfold.kaggle.names import KaggleNames, path_in_competition
from auxfold.kaggle.versions import installed_versions
from auxfold.storage.atomic import atomic_write, write_json, write_text
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import SOUP, FoldFolder, RunFolder

NOTEBOOK = "kaggle_inference.ipynb"
# Files of a fold that people read, and that predictions do not need.
EXCLUDED_FILES = ("oof.parquet", "history.jsonl", "README.md")
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
        InputError: there is a bundle already, or the predictions would not be what the competition
            expects.
    """
    check_predictable(source)
    run = source.folder if isinstance(source, Blend) else RunFolder.of(source.experiment)
    folder = run.kaggle
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists; give --overwrite to replace it")
    unfinished = folder.with_name(folder.name + ".partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _write_dataset(unfinished / "dataset", source, names, dtype_name)
        _write_kernel(unfinished / "kernel", names, notebook)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
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
        if run.is_soup:
            write_soup(run.ensemble.folders, folder / run.path / SOUP_FOLD)
            _shrink_fold(folder / run.path / SOUP_FOLD, dtype_name)
        else:
            for fold in run.ensemble.folders:
                _copy_fold(fold, folder / run.path / fold.path.name, dtype_name)
        write_text(folder / run.path / EXPERIMENT, to_toml(run.ensemble.experiment))
        if reader := run.ensemble.experiment.data.reader:
            copy_reader(reader, folder / "src")
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
    write_json(folder / "dataset-metadata.json", metadata)


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
        stored = RunFolder(source.folders[0].path.parent).postprocess
        if stored.is_file():
            shutil.copy2(stored, folder.postprocess)
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


def _copy_fold(fold: FoldFolder, target: Path, dtype_name: str) -> None:
    if refers_to_backbone(fold):  # there is no hub on Kaggle without internet, and maybe no peft
        write_merged_fold(fold, target)
    else:
        shutil.copytree(fold.path, target)
    _shrink_fold(target, dtype_name)


def _shrink_fold(target: Path, dtype_name: str) -> None:
    """Leave out what predictions do not need, and store the weights in ``dtype_name``."""
    for name in EXCLUDED_FILES:
        (target / name).unlink(missing_ok=True)
    for path in target.glob("*.safetensors") if dtype_name == "fp16" else ():
        # Written to another file first, because the tensors may still be mapped from this one.
        atomic_write(path, partial(save_file, _load_as_fp16(path), metadata={"format": "pt"}))


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
