"""What the notebook runs on Kaggle: find the inputs, predict in time, write the submission.

One process per GPU, each with every n-th row; whatever folds are finished when the time is up are
averaged, so that a slow machine costs folds instead of the submission.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from auxfold.data.batches import tokenised_rows
from auxfold.data.files import header_of, read_columns
from auxfold.data.table import Table, read_texts
from auxfold.errors import InputError
from auxfold.experiment import Experiment
from auxfold.inference.ensemble import Ensemble, average_folds, load_fold
from auxfold.inference.postprocess import Postprocess
from auxfold.inference.predict import predict_logits
from auxfold.inference.submission import SampleSubmission, columns_asked_for
from auxfold.kaggle.manifest import MANIFEST, sha256
from auxfold.model.precision import all_devices, choose_precision
from auxfold.scoring.averaging import check_average
from auxfold.tasks import make_tasks, prediction_frame
from auxfold.whole_files import read_json, write_frame, write_whole

RESERVE = 60.0  # seconds kept for averaging and writing


class OutOfTime(Exception):
    """The time budget is spent."""


@dataclass(frozen=True)
class Share:
    """One process's part of the work: every ``of``-th row, for every fold."""

    bundle: str
    test: str
    out: str
    device: str
    number: int
    of: int
    until: float  # seconds since the epoch

    def rows(self, table: Table) -> np.ndarray:
        """The rows of this share; by length of text, so that shares take equally long."""
        lengths = [sum(len(column[row]) for column in table.texts) for row in range(len(table))]
        return np.argsort(lengths, kind="stable")[self.number :: self.of]

    def result(self, fold: str) -> Path:
        """Where the logits of one fold are left, ``(rows, heads' widths)``."""
        return Path(self.out) / f"{fold}.{self.number}.npy"


def check_bundle(bundle: Path) -> dict[str, Any]:
    """The manifest, every file of it compared with its digest.

    Raises:
        InputError: a file is missing or is not what was bundled.
    """
    manifest = read_json(bundle / MANIFEST)
    for name, digest in manifest["files"].items():
        path = bundle / name
        if not path.is_file():
            raise InputError(f"{path} is missing; upload the dataset again with `-r zip`")
        if sha256(path) != digest:
            raise InputError(f"{path} is not the file that was bundled; upload the dataset again")
    return manifest


def find_inputs(bundle: Path, root: Path) -> tuple[Path, Path | None]:
    """The competition's test file and its sample submission, by name, anywhere below ``root``."""
    experiment = Ensemble.at(bundle, _folds(bundle)).experiment
    competition = read_json(bundle / MANIFEST)["competition"]
    sample = experiment.data.sample_submission
    test = _find(experiment.data.test or "test.csv", root, competition)
    return test, _find(sample, root, competition) if sample else None


def _find(wanted: str, root: Path, competition: str) -> Path:
    # Some competitions are mounted as they were zipped, one by one.
    name = Path(wanted).name.removesuffix(".zip")
    found = sorted([*root.rglob(name), *root.rglob(f"{name}.zip")])
    own = [path for path in found if competition in path.parts]
    if not own:
        listed = ", ".join(map(str, found)) or "none anywhere"
        raise InputError(
            f"no {name} of {competition} below {root} (found {listed}); attach the competition "
            f"to the notebook, or name another one with bundle_kaggle.py --competition"
        )
    return own[0]


def predict(
    bundle: Path,
    test: Path,
    sample: Path | None,
    hours: float,
    devices: list[str] | None = None,
    calibrate: str | None = None,
    decide: str | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Predictions of the main task, or of every task whose columns the sample submission has.

    Args:
        bundle: the dataset as mounted.
        test: the table to predict.
        sample: the sample submission.
        hours: time budget, counted from now.
        devices: one process each; every CUDA device, or the CPU.
        calibrate: ``temperature`` or ``isotonic``, by the bundled ``postprocess.json``.
        decide: ``f1`` or ``precision=P``: answers 1 or 0 by its thresholds.

    Returns:
        The submission, and the folds that were finished in time.

    Raises:
        InputError: not one fold was finished, or the ids are not the sample's.
    """
    until = time.time() + 3600 * hours - RESERVE
    folds = _folds(bundle)
    ensemble = Ensemble.at(bundle, folds)
    experiment = ensemble.experiment
    table = read_texts(experiment, str(test))
    tasks = ensemble.tasks(_task_names(experiment, sample))
    average = experiment.inference.average
    check_average(average, tasks, len(table))
    after = Postprocess.of(ensemble, tasks, calibrate, decide, average)
    shape = SampleSubmission.read(str(sample), table.ids, tasks) if sample else None
    with tempfile.TemporaryDirectory() as out:
        names = (devices or [str(device) for device in all_devices()])[: len(table)]
        shares = [
            Share(str(bundle), str(test), out, device, number, len(names), until)
            for number, device in enumerate(names)
        ]
        _run(shares, [task.name for task in tasks])
        done = [f.path.name for f in ensemble.folders if _finished(shares, f.path.name)]
        if not done:
            raise InputError(
                f"no fold was finished within {hours:g} hours (see the output above); "
                f"nothing to submit"
            )
        logits = (_collect(shares, name, table, ensemble, tasks) for name in done)
        means = average_folds(logits, tasks, average, experiment.inference.power)
    if len(done) < len(folds):
        print(f"ONLY {len(done)} OF {len(folds)} FOLDS are averaged: {', '.join(done)}")
    means = after.apply(tasks, means)
    frame = prediction_frame(experiment.data.id_column, table.ids, tasks, means)
    return (shape.fill(frame) if shape else frame), done


def write_submission(frame: pd.DataFrame, sample: Path | None, path: Path) -> None:
    """Write ``submission.csv`` whole, read it back, and compare its ids with the sample's.

    Raises:
        InputError: what was written is not what the competition asks for.
    """
    write_frame(path, frame)
    if sample is None:
        return
    made, asked = read_columns(path), read_columns(sample)
    same = list(made.columns) == list(asked.columns)
    if not same or made.iloc[:, 0].tolist() != asked.iloc[:, 0].tolist():
        path.unlink()
        raise InputError(f"{path} has not the columns and ids of {sample}; it was removed")


def _folds(bundle: Path) -> list[int | str]:
    names = [name.removeprefix("fold_") for name in read_json(bundle / MANIFEST)["folds"]]
    return [int(name) if name.isdecimal() else name for name in names]


def _task_names(experiment: Experiment, sample: Path | None) -> list[str] | None:
    """Every task that the sample submission has columns of; None: the main task alone."""
    if sample is None:
        return None
    wanted = set(header_of(sample)[1:])
    names = [t.name for t in make_tasks(experiment) if wanted & set(columns_asked_for([t]))]
    return names or None


def _run(shares: list[Share], tasks: list[str]) -> None:
    """A process per share, what it prints relayed: a notebook shows its own prints only."""
    with ThreadPoolExecutor(len(shares)) as pool:
        codes = list(pool.map(lambda share: _process(share, tasks), shares))
    if any(codes):  # out of memory, say: the folds that are finished still count
        print(f"A PROCESS FAILED: exit codes {codes}, see the output above")


def _process(share: Share, tasks: list[str]) -> int:
    source = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-m", "auxfold.kaggle.kernel"]
    command += [json.dumps({"share": asdict(share), "tasks": tasks})]
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="")
    return process.returncode


def _work(share: Share, tasks: list[str]) -> None:
    """Predict one share with fold after fold, until the time is up."""
    ensemble = Ensemble.at(share.bundle, _folds(Path(share.bundle)))
    experiment = ensemble.experiment
    table = read_texts(experiment, share.test)
    mine = share.rows(table)
    texts = [[column[row] for row in mine] for column in table.texts]
    device = torch.device(share.device)
    rows, longest = None, 0.0
    for folder in ensemble.folders:
        started = time.time()
        if started + longest > share.until:
            return  # this fold would not be finished
        model, tokenizer = load_fold(folder, device)
        rows = rows or tokenised_rows(texts, tokenizer, experiment.model)
        try:
            logits = predict_logits(
                model,
                rows,
                np.arange(len(mine)),
                tasks=tasks,
                max_tokens=experiment.inference.max_tokens_per_batch,
                precision=_precision(experiment, device),
                on_batch=lambda _: _check_time(share.until),
            )
        except OutOfTime:
            return
        values = np.concatenate([logits[task] for task in tasks], axis=1)
        write_whole(share.result(folder.path.name), lambda p, values=values: np.save(p, values))
        longest = max(longest, time.time() - started)
        seconds = time.time() - started
        print(f"{share.device}: {folder.path.name}, {len(mine):,} rows in {seconds:.0f} s")


def _precision(experiment: Experiment, device: torch.device) -> str:
    """As trained, but that the T4 has no bf16: the best half precision of the device."""
    asked = experiment.train.precision
    return choose_precision("auto" if asked in ("bf16", "fp16") else asked, device)


def _check_time(until: float) -> None:
    if time.time() > until:
        raise OutOfTime


def _finished(shares: list[Share], fold: str) -> bool:
    return all(share.result(fold).is_file() for share in shares)


def _collect(
    shares: list[Share], fold: str, table: Table, ensemble: Ensemble, tasks: list[Any]
) -> dict[str, np.ndarray]:
    """The logits of one fold, task by task, in the order of the table."""
    width = sum(task.n_outputs for task in tasks)
    logits = np.empty((len(table), width), dtype=np.float32)
    for share in shares:
        logits[share.rows(table)] = np.load(share.result(fold))
    edges = np.cumsum([0, *[task.n_outputs for task in tasks]])
    return {t.name: logits[:, edges[i] : edges[i + 1]] for i, t in enumerate(tasks)}


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    _work(Share(**told["share"]), told["tasks"])
