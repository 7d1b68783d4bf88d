"""Everything a submission on Kaggle needs, as a dataset folder and a notebook folder."""

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
from auxfold.inference.submission import check_columns
from auxfold.kaggle.manifest import EXPERIMENT, MANIFEST, sha256
from auxfold.kaggle.names import KaggleNames
from auxfold.storage.atomic import atomic_write, write_json, write_text
from auxfold.storage.run_folder import FoldFolder, RunFolder

NOTEBOOK = "kaggle_inference.ipynb"
# What training left for people, not for predictions.
NOT_NEEDED = ("oof.parquet", "history.jsonl", "README.md")


def write_bundle(
    source: Ensemble | Blend,
    names: KaggleNames,
    notebook: Path,
    precision: str,
    overwrite: bool = False,
) -> Path:
    """Write ``outputs/<name>/kaggle/`` with its ``dataset`` and ``kernel`` folders.

    Args:
        source: the folds to bundle, or the runs of a blend.
        names: what things are called on Kaggle.
        notebook: the notebook to push.
        precision: number format of the stored weights, ``fp16`` or ``fp32``.
        overwrite: replace a bundle that is there.

    Returns:
        The folder.

    Raises:
        InputError: there is one already, or what would be predicted there is not what the
            competition asks for.
    """
    check_predictable(source)
    run = source.folder if isinstance(source, Blend) else RunFolder.of(source.experiment)
    folder = run.kaggle
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists; give --overwrite to write it anew")
    unfinished = folder.with_name(folder.name + ".partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _write_dataset(unfinished / "dataset", source, names, precision)
        _write_kernel(unfinished / "kernel", names, notebook)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def check_predictable(source: Ensemble | Blend) -> None:
    """Refuse at home what would fail on Kaggle.

    Raises:
        InputError: runs of a blend that read other columns or another test file than the first, or
            a sample submission with a column that a blend does not predict.
    """
    if isinstance(source, Ensemble):
        return
    first = source.experiment.data
    for run in _runs_of(source):
        name, data = run.ensemble.experiment.name, run.ensemble.experiment.data
        for what in ("id", "text", "reader"):
            if getattr(data, what) != getattr(first, what):
                raise InputError(
                    f"run {name} has data.{what} = {getattr(data, what)!r}, the first run "
                    f"{getattr(first, what)!r}: on Kaggle all runs read one test file"
                )
        if data.test and first.test and Path(data.test).name != Path(first.test).name:
            raise InputError(
                f"run {name} predicts {data.test}, the first run {first.test}: on Kaggle all runs "
                f"read one test file"
            )
    sample = first.sample_submission
    if sample and Path(sample).is_file():
        check_columns(sample, read_header(sample)[1:], source.tasks())


@dataclass(frozen=True)
class _Run:
    """One run within the dataset."""

    place: str  # "." where it is the only one
    ensemble: Ensemble
    number: int = 0  # in the blend
    predicts: bool = True

    def folds(self) -> list[str]:
        """The folds' paths within the dataset."""
        return [(Path(self.place) / fold.path.name).as_posix() for fold in self.ensemble.folders]


def _runs_of(source: Ensemble | Blend) -> list[_Run]:
    """What is bundled; of a blend the runs that have a weight."""
    if isinstance(source, Ensemble):
        return [_Run(".", source)]
    made, needed = [], source.needed()
    for number, member in enumerate(source.members):
        place = f"runs/{member.folders[0].path.parent.name}"
        if number in needed:
            made.append(_Run(place, member, number))
        elif number == 0:  # its ids, tasks and sample submission hold; no model of it is asked
            made.append(_Run(place, replace(member, folders=member.folders[:1]), predicts=False))
    return made


def _write_dataset(
    folder: Path, source: Ensemble | Blend, names: KaggleNames, precision: str
) -> None:
    runs = _runs_of(source)
    for run in runs:
        for fold in run.ensemble.folders:
            _copy_fold(fold, folder / run.place / fold.path.name, precision)
        write_text(folder / run.place / EXPERIMENT, to_toml(run.ensemble.experiment))
        if reader := run.ensemble.experiment.data.reader:
            copy_reader(reader, folder / "src")
    _write_weights(RunFolder(folder), source, runs)
    package = Path(auxfold.__file__).parent
    shutil.copytree(
        package, folder / "src/auxfold", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    # Fold by fold over the runs, so that a spent budget costs each of them the same.
    rounds = zip_longest(*[run.folds() for run in runs if run.predicts])
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "auxfold": auxfold.__version__,
        "experiment": source_name(source),
        "competition": names.competition,
        "runs": {run.place: [fold.path.name for fold in run.ensemble.folders] for run in runs},
        "folds": [fold for one in rounds for fold in one if fold is not None],
        "precision": precision,
        "files": {path.relative_to(folder).as_posix(): sha256(path) for path in paths},
    }
    write_json(folder / MANIFEST, manifest)
    metadata = {"title": names.title, "id": names.dataset, "licenses": [{"name": "other"}]}
    write_json(folder / "dataset-metadata.json", metadata)


def _write_weights(folder: RunFolder, source: Ensemble | Blend, runs: list[_Run]) -> None:
    """Thresholds and calibration beside the folds; of a blend with the weights of its runs."""
    if isinstance(source, Ensemble):
        stored = RunFolder(source.folders[0].path.parent).postprocess
        if stored.is_file():
            shutil.copy2(stored, folder.postprocess)
        return
    told = {key: source.record[key] for key in ("method", "average", "power", "tasks")}
    members = source.record["members"]
    told["members"] = [{**members[run.number], "path": run.place} for run in runs]
    told["weights"] = {
        column: [weights[run.number] for run in runs]
        for column, weights in source.record["weights"].items()
    }
    told |= {k: v for k, v in source.record.items() if k == "postprocess"}
    write_json(folder.blend, told)


def source_name(source: Ensemble | Blend) -> str:
    """What the experiment or the blend is called."""
    return source.folder.path.name if isinstance(source, Blend) else source.experiment.name


def _copy_fold(fold: FoldFolder, target: Path, precision: str) -> None:
    if refers_to_backbone(fold):  # which Kaggle has not, nor peft
        write_merged_fold(fold, target)
    else:
        shutil.copytree(fold.path, target)
    for name in NOT_NEEDED:
        (target / name).unlink(missing_ok=True)
    for path in target.glob("*.safetensors") if precision == "fp16" else ():
        # To another file first: what was read may still be mapped from this one.
        atomic_write(path, partial(save_file, _halved(path), metadata={"format": "pt"}))


def _halved(path: Path) -> dict[str, torch.Tensor]:
    """The weights in fp16, the half of the upload; refuses what fp16 cannot hold."""
    made = {}
    for name, values in load_file(path).items():
        made[name] = values.to(torch.float16) if values.is_floating_point() else values
        if not torch.isfinite(made[name]).all():
            raise InputError(f"{path}: {name} does not fit into fp16; give --precision fp32")
    return made


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


def commands(folder: Path, names: KaggleNames) -> list[str]:
    """What to type, in order, from the bundle to a score."""
    dataset, kernel = folder / "dataset", folder / "kernel"
    return [
        f"kaggle datasets create -p {dataset} -r zip            # the first time",
        f'kaggle datasets version -p {dataset} -r zip -m "new folds"  # later',
        f"kaggle kernels push -p {kernel} --accelerator NvidiaTeslaT4",
        f"kaggle kernels status {names.notebook}",
        f"kaggle competitions submit {names.competition} -k {names.notebook} -v 1 "
        f'-f submission.csv -m "{names.title}"',
    ]
