"""The paths of what an experiment leaves on disk; only this file knows their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auxfold.config.experiment import Experiment, load_experiment
from auxfold.config.trust import EXPERIMENT_FILE, FOLD_RECORD, FOLDS_RECORD, OUTPUTS
from auxfold.errors import InputError, nearest
from auxfold.storage.checksums import check_file, read_checksums, read_frame
from auxfold.storage.records import read_record

if TYPE_CHECKING:
    import pandas as pd

FULL = "full"  # the "fold" that is trained on all rows
SOUP = "soup"  # the "fold" of a bundle that has the mean of the folds' weights


@dataclass(frozen=True)
class FoldFolder:
    """``fold_k/``: one trained model and everything that inference needs."""

    path: Path

    @property
    def working(self) -> Path:
        """Where an unfinished training keeps its state; renamed to ``path`` when done."""
        return self.path.with_name(self.path.name + ".partial")

    @property
    def former(self) -> Path:
        """The finished fold that is being replaced, until the new one is complete."""
        return self.path.with_name(self.path.name + ".old")

    @property
    def snapshot(self) -> FoldFolder:
        """The fold as it was when the time for its training was up."""
        return FoldFolder(self.path.with_name(self.path.name + ".stopped"))

    @property
    def lock(self) -> Path:
        """Which process trains the fold."""
        return self.path.with_name(self.path.name + ".lock")

    @property
    def state(self) -> Path:
        """Everything that an unfinished training needs to be resumed."""
        return self.working / "state.safetensors"

    def evaluation_weights(self, evaluation: int) -> Path:
        """The weights of one evaluation, numbered from 0."""
        return self.working / f"kept_{evaluation}.safetensors"

    def list_evaluation_weights(self) -> list[tuple[int, Path]]:
        """The number of every evaluation whose weights are stored, and their file, in order."""
        paths = self.working.glob("kept_*.safetensors")
        return sorted((int(path.stem.removeprefix("kept_")), path) for path in paths)

    def list_training_files(self) -> list[Path]:
        """What only the training needs, in the finished folder; a killed process leaves it."""
        names = [self.state.name, self.evaluation_weights(0).name.replace("0", "*")]
        return [path for name in names for path in self.path.glob(name)]

    @property
    def experiment(self) -> Path:
        """The experiment that the fold was trained with."""
        return self.path / EXPERIMENT_FILE

    @property
    def run(self) -> Path:
        """What the fold was trained with; see :meth:`read_run`. It is written last."""
        return self.path / FOLD_RECORD

    @property
    def metrics(self) -> Path:
        """The scores of the held-out rows."""
        return self.path / "metrics.json"

    @property
    def oof(self) -> Path:
        """The predictions of the held-out rows."""
        return self.path / "oof.parquet"

    @property
    def card(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    @property
    def history(self) -> Path:
        """The evaluations during training, one JSON object per line."""
        return self.path / "history.jsonl"

    def exists(self) -> bool:
        """Whether the fold is finished."""
        return self.run.is_file()

    def read_run(self) -> dict[str, Any]:
        """The content of ``run.json``: what the fold was trained with.

        Raises:
            InputError: the file is damaged, or another version of auxfold wrote the folder, in a
                form not read here.
        """
        return read_record(self.run)

    def read_oof(self, columns: list[str]) -> pd.DataFrame:
        """Columns of the predictions of the held-out rows.

        Raises:
            InputError: the file is damaged.
        """
        return read_frame(self.oof, columns)

    def check_tokenizer(self) -> None:
        """Refuse a fold whose tokenizer is not as it was written.

        Raises:
            InputError: with the file.
        """
        others = {self.run, self.experiment, self.metrics, self.oof, self.history}
        for path in (self.path / name for name in read_checksums(self.path)):
            if path not in others and path.suffix != ".safetensors":
                check_file(path)

    def load_experiment(self) -> Experiment:
        """The experiment that the fold was trained with; the code that it names does not run.

        Raises:
            InputError: as of :meth:`read_run`; or the experiment is damaged or not valid.
        """
        self.read_run()  # a folder of another version is refused as such, not by one of its keys
        check_file(self.experiment)
        return load_experiment(self.experiment, trust_reader=False)


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
        return self.path / EXPERIMENT_FILE

    @property
    def folds(self) -> Path:
        """The fold of every id."""
        return self.path / "folds.parquet"

    @property
    def folds_info(self) -> Path:
        """What the folds were made from. It is written last."""
        return self.path / FOLDS_RECORD

    @property
    def data_summary(self) -> Path:
        """What the rows are like, and what in them will hurt."""
        return self.path / "data_summary.json"

    @property
    def tokens(self) -> Path:
        """The tokenized texts, shared by all folds."""
        return self.path / "tokens"

    @property
    def table(self) -> Path:
        """The checked training table, for commands and folds that follow."""
        return self.path / "table"

    @property
    def oof(self) -> Path:
        """The out-of-fold predictions of all rows."""
        return self.path / "oof.parquet"

    @property
    def cross_validation(self) -> Path:
        """The out-of-fold scores of all folds."""
        return self.path / "cv.json"

    @property
    def baseline(self) -> Path:
        """The out-of-fold predictions of the TF-IDF baseline."""
        return self.path / "baseline.parquet"

    @property
    def baseline_info(self) -> Path:
        """What the baseline was computed from. It is written last."""
        return self.path / "baseline.json"

    @property
    def report(self) -> Path:
        """The report of the cross-validation, as a page."""
        return self.path / "report.html"

    @property
    def test_by_fold(self) -> Path:
        """The main task's predictions of the test file, fold by fold."""
        return self.path / "test_by_fold.parquet"

    @property
    def test_by_soup(self) -> Path:
        """The main task's predictions of the test file by the mean of the folds' weights."""
        return self.path / "test_by_soup.parquet"

    @property
    def submission(self) -> Path:
        """The file to submit to the competition."""
        return self.path / "submission.csv"

    def predictions(self, tasks: list[str]) -> Path:
        """Predictions of the test file that are not the competition's submission."""
        return self.path / f"predictions_{'_'.join(tasks)}.csv"

    @property
    def ablation(self) -> Path:
        """The scores with and without each auxiliary task."""
        return self.path / "ablation.json"

    @property
    def comparison(self) -> Path:
        """The scores of variants of the experiment."""
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
        """The bundle for Kaggle."""
        return self.path / "kaggle"

    @property
    def kaggle_training(self) -> Path:
        """The bundle of a notebook that trains on Kaggle."""
        return self.path / "kaggle_training"

    def fold(self, fold: int | str) -> FoldFolder:
        """The folder of fold ``k`` or of the model trained on all rows (``"full"``)."""
        return FoldFolder(self.path / f"fold_{fold}")

    def fold_names(self) -> list[int]:
        """The folds into which the trained experiment divides its rows; one of them is trained."""
        trained = self.fold(self.finished()[0])
        return list(trained.load_experiment().folds.names)

    def read_blend(self) -> dict[str, Any]:
        """The content of ``blend.json``.

        Raises:
            InputError: another version of auxfold wrote it, in a form not read here.
        """
        return read_record(self.blend, "blend its runs again")

    def finished(self) -> list[int | str]:
        """The folds that are trained, by number; ``"full"`` and a bundle's ``"soup"`` last."""
        records = self.path.glob(f"fold_*/{FOLD_RECORD}")
        names = [path.parent.name.removeprefix("fold_") for path in records]
        numbers = sorted(int(name) for name in names if name.isdecimal())
        return [*numbers, *(name for name in (FULL, SOUP) if name in names)]
