"""Write everything that a submission on Kaggle needs: a dataset folder and a notebook folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from transformers.utils import SAFE_WEIGHTS_NAME

import auxfold
from auxfold.config.experiment import to_toml
from auxfold.data.files import read_header
from auxfold.data.reader import copy_reader
from auxfold.errors import InputError
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.merge import refers_to_backbone
from auxfold.inference.submission import match_columns
from auxfold.kaggle.bundled_folds import (
    SOUP_FOLD,
    all_requirements,
    backbone_name,
    write_adapter_fold,
    write_plain_fold,
    write_soup,
)
from auxfold.kaggle.fold_copy import check_fold_files, copy_file, copy_fold_files
from auxfold.kaggle.kernel_folder import write_kernel_folder
from auxfold.kaggle.manifest import EXPERIMENT, MANIFEST, METADATA, sha256
from auxfold.kaggle.names import KaggleNames, check_backbone_source, path_in_competition
from auxfold.kaggle.training_manifest import WHEELS
from auxfold.kaggle.versions import installed_versions
from auxfold.kaggle.wheels import check_wheels, copy_wheels
from auxfold.storage.atomic import atomic_write_folder, write_json, write_text
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import SOUP, FoldFolder, RunFolder

NOTEBOOK = "kaggle_inference.ipynb"


def write_bundle(
    source: Ensemble | Blend,
    names: KaggleNames,
    notebook: Path,
    dtype_name: str,
    overwrite: bool = False,
    merge_adapters: bool = False,
    backbone_source: str | None = None,
    wheels: Path | None = None,
) -> Path:
    """Write ``outputs/<name>/kaggle/`` with its ``dataset`` and ``kernel`` folders.

    Args:
        source: the folds to bundle, or the runs of a blend.
        names: names of the dataset and the notebook on Kaggle.
        notebook: the notebook to push.
        dtype_name: number format of the weights of plain folds, ``fp16`` or ``fp32``.
        overwrite: whether to replace an existing bundle.
        merge_adapters: whether adapters become plain folds, which are larger, and need neither
            their backbone nor peft.
        backbone_source: the Kaggle model or dataset with the backbone of the adapters; None: it
            becomes a part of the bundle.
        wheels: a folder of wheels, for packages that adapters need and that are missing or too old
            on Kaggle.

    Returns:
        The folder.

    Raises:
        InputError: there is a bundle already, the predictions would not be what the competition
            expects, a file of a fold or a backbone is missing, damaged or a link to elsewhere, or
            ``backbone_source`` is not what the adapters need.
    """
    check_predictable(source)
    for fold in [fold for run in _bundled_runs(source) for fold in run.ensemble.folders]:
        check_fold_files(fold)
    options = BundleOptions(dtype_name, merge_adapters, backbone_source, wheels)
    options.check(source)
    run = source.folder if isinstance(source, Blend) else RunFolder.of(source.experiment)
    folder = run.kaggle
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists; give --overwrite to replace it")

    def write(unfinished: Path) -> None:
        _write_dataset(unfinished / "dataset", source, names, options)
        write_kernel_folder(unfinished / "kernel", notebook, NOTEBOOK, names, backbone_source)

    atomic_write_folder(folder, write, overwrite=overwrite)
    return folder


@dataclass(frozen=True)
class BundleOptions:
    """How models are bundled; see :func:`write_bundle`."""

    dtype_name: str
    merge_adapters: bool
    backbone_source: str | None
    wheels: Path | None

    def check(self, source: Ensemble | Blend) -> None:
        """Refuse what adapters could not be loaded with.

        Raises:
            InputError: a package is not in Kaggle's image and has no wheel; or the source of the
                backbone is neither a Kaggle model nor a dataset, or would not serve all folds.
        """
        adapters = [f for run in _bundled_runs(source) for f in self.select_adapters(run)]
        check_wheels(all_requirements(adapters), self.wheels)
        if self.backbone_source is None:
            return
        check_backbone_source(self.backbone_source)
        n_backbones = len({backbone_name(fold) for fold in adapters})
        if n_backbones != 1:
            raise InputError(
                f"--backbone-source {self.backbone_source}: the folds to bundle refer to "
                f"{n_backbones or 'no'} backbones; it is for adapters of one backbone"
            )

    def select_adapters(self, run: BundledRun) -> list[FoldFolder]:
        """The folds of a run that predict as adapters of a backbone."""
        if self.merge_adapters or run.is_soup or not run.predicts:
            return []
        return [fold for fold in run.ensemble.folders if refers_to_backbone(fold)]


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
    folder: Path, source: Ensemble | Blend, names: KaggleNames, options: BundleOptions
) -> None:
    runs = _bundled_runs(source)
    adapters = [fold for run in runs for fold in options.select_adapters(run)]
    has_plain_folds = len(adapters) < sum(len(run.fold_names) for run in runs if run.predicts)
    for run in runs:
        _write_folds(folder, run, options)
        write_text(folder / run.path / EXPERIMENT, to_toml(run.ensemble.experiment))
        if run.ensemble.experiment.data.reader is not None:
            copy_reader(run.ensemble.experiment.data, folder / "src")
    copy_wheels(options.wheels, folder / WHEELS)
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
        "precision": options.dtype_name if has_plain_folds else "fp32",
        "versions": installed_versions(),
        "requirements": all_requirements(adapters),
        "backbone": options.backbone_source,
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


def _write_folds(bundle: Path, run: BundledRun, options: BundleOptions) -> None:
    """The models of a run, and what else predictions need."""
    folds, folder = run.ensemble.folders, bundle / run.path
    if run.is_soup:
        write_soup(folds, folder / SOUP_FOLD, options.dtype_name)
        return
    adapters = options.select_adapters(run)
    for fold in folds:
        target = folder / fold.path.name
        if not run.predicts:
            copy_fold_files(fold, target, without=[SAFE_WEIGHTS_NAME])
        elif fold not in adapters:
            write_plain_fold(fold, target, options.dtype_name)
        elif options.backbone_source is None:
            write_adapter_fold(fold, target, bundle)
        else:
            copy_fold_files(fold, target)


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
