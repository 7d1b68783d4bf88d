"""The functions that the training notebook calls: train folds in time, and submit what there is.

Each group of GPUs trains one fold after the other, those with the most worth per minute first, and
predicts the test file with it. A fold whose time is up predicts with the weights of its evaluations
so far. The submission is written before the first fold, and again after each of them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment, to_toml
from auxfold.data.learned_tags import learn_tags
from auxfold.data.table import Table
from auxfold.inference.predict import split_logits
from auxfold.kaggle.earlier_output import restore_folds, write_output_record
from auxfold.kaggle.training_inputs import locate_experiment
from auxfold.kaggle.training_manifest import read_training_manifest
from auxfold.kaggle.training_processes import predict_on, train_on
from auxfold.kaggle.training_submission import TrainingSubmission
from auxfold.kaggle.training_worker import FoldJob, FoldTimes, shard_rows, trained_folder
from auxfold.model.amp import all_devices
from auxfold.storage.atomic import write_text
from auxfold.storage.run_folder import FULL, FoldFolder, RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.split import create_folds, load_training_table

__all__ = ["describe_plan", "train_and_predict"]
# Of the time budget, for the last average and the end of processes.
RESERVED_SECONDS, RESERVED_SHARE = 60.0, 0.05
N_ATTEMPTS = 2  # to train a fold, before it is taken as it was when it was last saved


def describe_plan(bundle: Path) -> list[str]:
    """What a bundle trains, in lines.

    Raises:
        InputError: the manifest is damaged.
    """
    manifest = read_training_manifest(bundle)
    folds, n_gpus = ", ".join(map(str, manifest["folds"])), manifest["gpus_per_fold"]
    return [
        f"{manifest['experiment']}: folds {folds}, {n_gpus} GPU{'s' * (n_gpus > 1)} each",
        f"competition: {manifest['competition']}",
        f"backbone: {manifest['backbone'] or 'in the bundle'}",
    ]


def train_and_predict(
    bundle: Path,
    root: Path,
    hours: float,
    devices: list[str] | None = None,
    output: Path = Path("submission.csv"),
) -> tuple[pd.DataFrame, list[int | str]]:
    """Train the folds of a bundle within a time budget, and write the submission.

    Folds go into ``outputs/<name>/`` below the current directory. Attach the output of a version of
    the notebook to the next one, and it goes on with them.

    Args:
        bundle: the mounted dataset.
        root: the folder of all inputs.
        hours: the time budget, counted from now.
        devices: names of the devices; None: every CUDA device, or the CPU. A device that is named
            twice has two processes.
        output: the file of the submission.

    Returns:
        The submission, and the folds that are averaged in it. Without any, every row has the mean
        of the training labels.

    Raises:
        InputError: the bundle is damaged, an input is missing, or the training rows cannot be used.
    """
    budget = 3600 * hours
    deadline = time.time() + budget - min(RESERVED_SECONDS, RESERVED_SHARE * budget)
    manifest = read_training_manifest(bundle)
    experiment = learn_tags(locate_experiment(bundle, root))
    run_folder, folds = RunFolder.of(experiment), manifest["folds"]
    write_text(run_folder.experiment, to_toml(experiment))
    table = _make_folds(experiment, folds)
    print("\n".join([f"{len(table):,} rows to train on", *table.notes]), flush=True)
    submission = TrainingSubmission(experiment, output)
    submission.write_means(table)
    print(f"{output}: {len(submission.test):,} rows with the means of the labels, for now")
    for line in restore_folds(experiment, table.fingerprint(), folds, root):
        print(line)
    write_output_record(experiment, table.fingerprint())
    names = devices or [str(device) for device in all_devices()]
    with tempfile.TemporaryDirectory() as out:
        kernel = _Kernel(experiment, submission, Path(out), deadline, folds)
        groups = _group(names, manifest["gpus_per_fold"])
        with ThreadPoolExecutor(len(groups)) as pool:
            for job in [pool.submit(kernel.work, group) for group in groups]:
                job.result()
        frame, averaged = kernel.write()
    print("\n".join([*kernel.report(averaged), submission.note]).rstrip())
    return (submission.write_means(table), []) if frame is None else (frame, averaged)


def _make_folds(experiment: Experiment, folds: list[int | str]) -> Table:
    """The training table, after its rows were divided into folds where there are some."""
    if folds == [FULL]:
        return load_training_table(experiment)
    return create_folds(experiment, tasks=TaskSet.from_experiment(experiment))[0]


def _order(experiment: Experiment, folds: list[int | str]) -> list[int | str]:
    """Finished folds, which only predict, then those that are begun, then the others."""
    folder = RunFolder.of(experiment)

    def rank(fold: int | str) -> int:
        return 0 if folder.fold(fold).exists() else 1 if folder.fold(fold).working.exists() else 2

    return sorted(folds, key=rank)


def _group(devices: list[str], size: int) -> list[list[str]]:
    """The devices in groups that train one fold together; a rest is a smaller group."""
    return [devices[start : start + size] for start in range(0, len(devices), size)]


@dataclass
class _Kernel:
    """The folds of one kernel, which its groups of devices take from a queue.

    Attributes:
        experiment: what is trained, with the paths of this machine.
        submission: written again after each fold.
        out: the folder for logits and times.
        deadline: when all predictions must be there, in seconds since the epoch.
        folds: what is trained, the most important first.
        waiting: folds that nobody has taken yet, in the order in which they are.
        shards: fold to the number of parts in which its predictions are stored.
        notes: fold to what happened to it.
        shortest: seconds from the start of a fold to predictions of its first evaluation, by the
            folds so far; 0 before.
        prediction_seconds: of the slowest prediction so far.
    """

    experiment: Experiment
    submission: TrainingSubmission
    out: Path
    deadline: float
    folds: list[int | str]
    waiting: list[int | str] = field(init=False)
    shards: dict[int | str, int] = field(default_factory=dict)
    notes: dict[int | str, str] = field(default_factory=dict)
    shortest: float = 0.0
    prediction_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.waiting = _order(self.experiment, self.folds)

    def work(self, devices: list[str]) -> None:
        """Take folds from the queue until there is none, or no time for another one."""
        while (fold := self._take_fold()) is not None:
            try:
                if self._train(fold, devices) and self._predict(fold, devices):
                    self.write()
            except Exception as error:  # a full disk, for example: the other folds still count
                traceback.print_exc()
                self.notes[fold] = f"failed: {type(error).__name__}, see above"

    def _take_fold(self) -> int | str | None:
        """The next fold for which there is time."""
        with self._lock:
            while self.waiting:
                fold = self.waiting.pop(0)
                folder = RunFolder.of(self.experiment).fold(fold)
                seconds = self.prediction_seconds
                if not (folder.exists() or folder.working.exists()):
                    seconds = max(seconds, self.shortest)
                if time.time() + seconds < self.deadline:
                    return fold
                self.notes[fold] = f"not begun, as it would take {seconds:.0f} s at least"
        return None

    def _job(self, fold: int | str, deadline: float) -> FoldJob:
        return FoldJob(
            experiment=str(RunFolder.of(self.experiment).experiment),
            fold=fold,
            tasks=self.submission.tasks.names,
            out=str(self.out),
            launched_at=time.time(),
            deadline=deadline,
            prediction_seconds=self.prediction_seconds,
        )

    def _train(self, fold: int | str, devices: list[str]) -> bool:
        """Train a fold; whether there is something to predict with."""
        folder = RunFolder.of(self.experiment).fold(fold)
        is_new = not folder.working.exists()
        for attempt in range(N_ATTEMPTS + 1):
            if folder.exists():  # an earlier version has finished it
                break
            # The last attempt only takes the fold as it was when its state was last saved.
            deadline = self.deadline if attempt < N_ATTEMPTS else 0.0
            if not deadline and not folder.state.is_file():
                break
            job = self._job(fold, deadline)
            code = train_on(job, devices, self.deadline)
            if code == 0:
                self._read_times(job)
                break
            print(f"fold {fold}: THE TRAINING FAILED with exit code {code}, see above", flush=True)
            if time.time() > self.deadline:
                break
            if code == 2 and not is_new:  # the state of an earlier version cannot be continued
                shutil.rmtree(folder.working, ignore_errors=True)
                is_new = True
        is_trained = trained_folder(self.experiment, fold) is not None
        if not is_trained:
            self.notes[fold] = "failed in training, see above"
        return is_trained

    def _read_times(self, job: FoldJob) -> None:
        """Learn from a fold how long the next one takes at least."""
        if job.times_path.is_file():
            times = FoldTimes(**json.loads(job.times_path.read_text(encoding="utf-8")))
            self.shortest = max(self.shortest, times.to_first_evaluation + times.prediction)

    def _predict(self, fold: int | str, devices: list[str]) -> bool:
        """Predict the test file with a fold; whether all of its rows are predicted."""
        job = self._job(fold, self.deadline)
        devices = devices[: len(self.submission.test)]
        code = predict_on(job, devices, self.deadline)
        if any(not job.logits_path(shard).is_file() for shard in range(len(devices))):
            reason = f"failed in prediction with exit code {code}, see above"
            is_late = time.time() > self.deadline
            self.notes[fold] = "trained, but not predicted in time" if is_late else reason
            return False
        self.prediction_seconds = max(self.prediction_seconds, time.time() - job.launched_at)
        self.shards[fold] = len(devices)
        return True

    def write(self) -> tuple[pd.DataFrame | None, list[int | str]]:
        """Write the average of the folds so far; it and these folds, or None without any.

        Folds without an evaluation count only where there are no others.
        """
        with self._lock:
            folds = [fold for fold in self.folds if fold in self.shards]
            evaluated = [fold for fold in folds if self._is_evaluated(fold)]
            averaged = evaluated or folds
            if not averaged:
                return None, []
            frame = self.submission.write_folds(self._logits(fold) for fold in averaged)
            print(
                f"{self.submission.path}: {len(frame):,} rows, folds "
                f"{', '.join(map(str, averaged))} averaged",
                flush=True,
            )
            return frame, averaged

    def _is_evaluated(self, fold: int | str) -> bool:
        """Whether a fold is finished, or has weights that an evaluation chose."""
        stopped = self._record(fold).get("stopped")
        return stopped is None or stopped["evaluations"] > 0

    def _record(self, fold: int | str) -> dict[str, Any]:
        return self._folder(fold).read_run()

    def _folder(self, fold: int | str) -> FoldFolder:
        folder = trained_folder(self.experiment, fold)
        assert folder is not None, "the fold is trained"
        return folder

    def _logits(self, fold: int | str) -> dict[str, np.ndarray]:
        """Task name to the logits ``(rows, n_outputs)`` of one fold."""
        job, n_shards = self._job(fold, self.deadline), self.shards[fold]
        width = sum(task.n_outputs for task in self.submission.tasks)
        logits = np.empty((len(self.submission.test), width), dtype=np.float32)
        for shard in range(n_shards):
            rows = shard_rows(len(logits), shard, n_shards)
            logits[rows] = np.load(job.logits_path(shard))
        return split_logits(logits, self.submission.tasks)

    def report(self, averaged: list[int | str]) -> list[str]:
        """What became of every fold, a line each."""
        lines = []
        for fold in self.folds:
            if fold in self.shards:
                note = self._describe(fold)
                note += "" if fold in averaged else ", NOT averaged, as others were evaluated"
            else:
                note = self.notes.get(fold, "not begun")
            lines.append(f"fold {fold}: {note}")
        if averaged and len(averaged) < len(self.folds):
            lines.append(f"ONLY {len(averaged)} OF {len(self.folds)} FOLDS are averaged")
        if not averaged:
            lines.append("NO FOLD WAS TRAINED IN TIME: every row has the mean of the labels")
        return lines

    def _describe(self, fold: int | str) -> str:
        """Whether a fold is finished, and its score."""
        record = self._record(fold)
        selection, stopped = record["selection"], record.get("stopped")
        score = ""
        if selection["value"] is not None:
            score = f", {selection['metric']} {selection['value']:.4f}"
        if stopped is None:
            return f"finished{score}"
        n = stopped["evaluations"]
        return (
            f"stopped after {stopped['rows'] / stopped['of']:.0%} of its rows and "
            f"{n} evaluation{'s' * (n != 1)}{score}"
        )
