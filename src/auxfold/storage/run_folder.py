"""What an experiment leaves on disk, and the only code that knows the file names in it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auxfold.config.experiment import Experiment, load_experiment
from auxfold.errors import InputError, nearest
from auxfold.storage.atomic import read_json, write_frame, write_json

if TYPE_CHECKING:
    import numpy as np

OUTPUTS = Path("outputs")
FULL = "full"  # the "fold" that is trained on all rows


@dataclass(frozen=True)
class FoldFolder:
    """``fold_k/``: one trained model and everything that inference needs."""

    path: Path

    @property
    def working(self) -> Path:
        """Where an unfinished training keeps its state; renamed to ``path`` when done."""
        return self.path.with_name(self.path.name + ".partial")

    @property
    def state(self) -> Path:
        return self.working / "state.pt"

    @property
    def best(self) -> Path:
        return self.working / "best.pt"

    def kept(self, evaluation: int) -> Path:
        """The weights of one evaluation, from 0: one of those that are averaged."""
        return self.working / f"kept_{evaluation}.pt"

    def all_kept(self) -> list[tuple[int, Path]]:
        """Every :meth:`kept` that is there, with its evaluation, in their order."""
        found = self.working.glob("kept_*.pt")
        return sorted((int(path.stem.removeprefix("kept_")), path) for path in found)

    @property
    def experiment(self) -> Path:
        return self.path / "experiment.toml"

    @property
    def run(self) -> Path:
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def oof(self) -> Path:
        return self.path / "oof.parquet"

    @property
    def card(self) -> Path:
        return self.path / "README.md"

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    def exists(self) -> bool:
        """Whether the fold is finished."""
        return self.run.is_file()


@dataclass(frozen=True)
class RunFolder:
    """``outputs/<name>/``."""

    path: Path

    @classmethod
    def of(cls, experiment: Experiment) -> RunFolder:
        """The run folder of an experiment, below the current directory."""
        return cls(OUTPUTS / experiment.name)

    @classmethod
    def named(cls, run: str) -> RunFolder:
        """The folder of a run by its name below ``outputs/``, or by its path.

        Raises:
            InputError: there is no such folder, with the nearest name.
        """
        path = OUTPUTS / run if (OUTPUTS / run).is_dir() else Path(run)
        if not run or not path.is_dir():
            runs = sorted(folder.name for folder in OUTPUTS.glob("*") if folder.is_dir())
            raise InputError(f"no run {run!r}{nearest(run, runs)} in {OUTPUTS}")
        return cls(path)

    @property
    def experiment(self) -> Path:
        """The resolved experiment for which the folds were made."""
        return self.path / "experiment.toml"

    @property
    def folds(self) -> Path:
        return self.path / "folds.parquet"

    @property
    def folds_info(self) -> Path:
        return self.path / "folds.json"

    @property
    def tokens(self) -> Path:
        return self.path / "tokens"

    @property
    def oof(self) -> Path:
        return self.path / "oof.parquet"

    @property
    def cross_validation(self) -> Path:
        return self.path / "cv.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def test_by_fold(self) -> Path:
        """The main task's predictions of the test file, fold by fold."""
        return self.path / "test_by_fold.parquet"

    @property
    def submission(self) -> Path:
        return self.path / "submission.csv"

    def predictions(self, tasks: list[str]) -> Path:
        """Predictions of the test file that are not the competition's submission."""
        return self.path / f"predictions_{'_'.join(tasks)}.csv"

    @property
    def ablation(self) -> Path:
        return self.path / "ablation.json"

    @property
    def comparison(self) -> Path:
        return self.path / "comparison.json"

    @property
    def postprocess(self) -> Path:
        """Thresholds and calibration, found out of fold."""
        return self.path / "postprocess.json"

    @property
    def blend(self) -> Path:
        """Where the folder is a blend of runs: which ones, and their weights."""
        return self.path / "blend.json"

    @property
    def kaggle(self) -> Path:
        return self.path / "kaggle"

    def fold(self, fold: int | str) -> FoldFolder:
        """The folder of fold ``k`` or of the model trained on all rows (``"full"``)."""
        return FoldFolder(self.path / f"fold_{fold}")

    def fold_names(self) -> list[int]:
        """The folds into which the trained experiment divides its rows; one of them is trained."""
        trained = self.fold(self.finished()[0])
        return list(load_experiment(trained.experiment).folds.names)

    def finished(self) -> list[int | str]:
        """The folds that are trained, by number; ``"full"`` last."""
        names = [p.parent.name.removeprefix("fold_") for p in self.path.glob("fold_*/run.json")]
        numbers = sorted(int(name) for name in names if name.isdecimal())
        return [*numbers, *([FULL] if FULL in names else [])]


def write_folds(folder: RunFolder, ids: np.ndarray, folds: np.ndarray, info: dict) -> None:
    """Store the fold of every id and what the folds were made from."""
    import pandas as pd  # not at the top: every command imports this module, `--help` included

    # The record goes first and comes last: folds without it are no folds.
    folder.folds_info.unlink(missing_ok=True)
    write_frame(folder.folds, pd.DataFrame({"id": ids, "fold": folds.astype("int16")}))
    write_json(folder.folds_info, info)


def check_folds_exist(folder: RunFolder) -> None:
    """Refuse a run folder without folds.

    Raises:
        InputError: there are no folds yet.
    """
    if not folder.folds.is_file() or not folder.folds_info.is_file():
        raise InputError(f"no {folder.folds}; run scripts/make_folds.py first")


def read_folds(folder: RunFolder, ids: np.ndarray, expected: dict) -> np.ndarray:
    """The fold of every id.

    Raises:
        InputError: no folds yet, or they were made from other rows or settings than ``expected``.
    """
    import pandas as pd

    check_folds_exist(folder)
    info = read_json(folder.folds_info)
    for key, value in expected.items():
        if info.get(key) != value:
            raise InputError(
                f"{folder.folds} was made with {key} = {info.get(key)!r}, now it is {value!r}; "
                f"put the input back, or make new folds with make_folds.py --overwrite "
                f"(and train every fold anew)"
            )
    frame = pd.read_parquet(folder.folds)
    by_id = frame.set_index("id")["fold"]
    return by_id.loc[ids].to_numpy(dtype=int)


def check_fold(experiment: Experiment, fold: int | str) -> None:
    """Refuse a fold that the experiment does not have.

    Raises:
        InputError: with the folds that there are.
    """
    names = experiment.folds.names
    if fold not in names:
        known = "the one split is fold 0" if len(names) == 1 else f"folds are 0 to {names[-1]}"
        raise InputError(f"--fold {fold}: {known}; or 'all', or 'full'")


def trained_folds(run_folder: RunFolder, names: list[int | str]) -> list[FoldFolder]:
    """The folders of the named folds.

    Raises:
        InputError: one is not trained, or named twice.
    """
    if len(set(names)) != len(names):
        raise InputError(f"a fold is named twice: {', '.join(map(str, names))}")
    folders = [run_folder.fold(name) for name in names]
    missing = [str(n) for n, f in zip(names, folders, strict=True) if not f.exists()]
    if missing:
        raise InputError(
            f"{run_folder.path}: fold {', '.join(missing)} not trained yet; run "
            f"scripts/train.py --fold {missing[0]}, or choose others with --folds"
        )
    return folders


def check_together(folders: list[FoldFolder]) -> Experiment:
    """The experiment of folds that belong together.

    Raises:
        InputError: they differ in experiment or data.
    """
    experiments = [load_experiment(folder.experiment) for folder in folders]
    first, data = folders[0], read_json(folders[0].run)["data_fingerprint"]
    for folder, experiment in zip(folders[1:], experiments[1:], strict=True):
        same = experiment.fingerprint() == experiments[0].fingerprint()
        if not same or read_json(folder.run)["data_fingerprint"] != data:
            raise InputError(
                f"{folder.path} and {first.path} do not belong together: they differ in "
                f"{'data' if same else 'experiment'} fingerprint; train one of them anew with "
                f"--overwrite"
            )
    return experiments[0]


def check_trained_with(
    folders: list[FoldFolder], experiment: Experiment, data_fingerprint: str | None = None
) -> Experiment:
    """Refuse folds that were trained with another experiment, or on other data, than given.

    Returns:
        The experiment as they were trained.

    Raises:
        InputError: naming what differs.
    """
    trained, first = check_together(folders), folders[0]
    if trained.fingerprint() != experiment.fingerprint():
        raise InputError(
            f"{first.path} was trained with another experiment than the one given; "
            f"compare it with {first.experiment}, or train anew with --overwrite"
        )
    found = read_json(first.run)["data_fingerprint"]
    if data_fingerprint not in (None, found):
        raise InputError(
            f"{first.path} was trained on other data than {experiment.data.path}; "
            f"train it anew with --overwrite"
        )
    return trained


def start_working(folder: FoldFolder, resume: bool, overwrite: bool) -> None:
    """Make the working folder of a fold.

    Raises:
        InputError: the fold exists, finished or not, and neither flag was given.
    """
    check_overwrite(folder, resume, overwrite)
    if overwrite and folder.working.exists():
        shutil.rmtree(folder.working)
    folder.working.mkdir(parents=True, exist_ok=True)


def check_overwrite(folder: FoldFolder, resume: bool, overwrite: bool) -> None:
    """Refuse to replace a fold unasked.

    Raises:
        InputError: the fold exists, finished or not, and neither flag was given.
    """
    unfinished = folder.working.exists()
    if folder.path.exists() and not overwrite and not (resume and unfinished):
        raise InputError(f"{folder.path} exists; give --overwrite to train it anew")
    if unfinished and not overwrite and not resume:
        raise InputError(
            f"{folder.working} holds an unfinished training; "
            f"give --resume to continue it or --overwrite to start anew"
        )


def finish_working(folder: FoldFolder) -> None:
    """Turn the working folder into the finished one."""
    folder.state.unlink(missing_ok=True)
    folder.best.unlink(missing_ok=True)
    for _, path in folder.all_kept():
        path.unlink()
    for path in folder.working.glob(".*"):  # what a killed process had begun to write
        path.unlink()
    if folder.path.exists():
        shutil.rmtree(folder.path)
    os.replace(folder.working, folder.path)
