"""One process per GPU, each with every n-th row, fold after fold until the time is up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from auxfold.config.experiment import Experiment
from auxfold.data.batches import TokenizedDataset, tokenize_dataset
from auxfold.data.table import Table
from auxfold.inference.ensemble import load_fold
from auxfold.inference.predict import predict_logits
from auxfold.kaggle.loaded_bundle import LoadedBundle
from auxfold.model.precision import choose_precision
from auxfold.storage.atomic import atomic_write
from auxfold.storage.run_folder import FoldFolder
from auxfold.tasks import Task


class OutOfTime(Exception):
    """The time budget is spent."""


@dataclass(frozen=True)
class WorkerShard:
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
        return Path(self.out) / f"{fold.replace('/', ' ')}.{self.number}.npy"


def run_shares(shares: list[WorkerShard], tasks: dict[str, list[str]]) -> None:
    """A process per share, what it prints relayed: a notebook shows its own prints only.

    Args:
        shares: of the rows.
        tasks: whose heads are computed, by run of the bundle.
    """
    with ThreadPoolExecutor(len(shares)) as pool:
        codes = list(pool.map(lambda share: _process(share, tasks), shares))
    if any(codes):
        print(f"A PROCESS FAILED: exit codes {codes}, see the output above")


def finished(shares: list[WorkerShard], fold: str) -> bool:
    """Whether every share has predicted a fold."""
    return all(share.result(fold).is_file() for share in shares)


def collect(
    shares: list[WorkerShard], fold: str, table: Table, tasks: list[Task]
) -> dict[str, np.ndarray]:
    """The logits of one fold by task name, in the order of the table."""
    width = sum(task.n_outputs for task in tasks)
    logits = np.empty((len(table), width), dtype=np.float32)
    for share in shares:
        logits[share.rows(table)] = np.load(share.result(fold))
    edges = np.cumsum([0, *[task.n_outputs for task in tasks]])
    return {t.name: logits[:, edges[i] : edges[i + 1]] for i, t in enumerate(tasks)}


def _process(share: WorkerShard, tasks: dict[str, list[str]]) -> int:
    source = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-m", "auxfold.kaggle.workers"]
    command += [json.dumps({"share": asdict(share), "tasks": tasks})]
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="")
    return process.returncode


def _work(share: WorkerShard, tasks: dict[str, list[str]]) -> bool:
    """Predict one share with fold after fold, until the time is up; whether every fold could be."""
    bundled = LoadedBundle.at(Path(share.bundle))
    table = bundled.table(Path(share.test))
    mine = share.rows(table)
    texts = [[column[row] for row in mine] for column in table.texts]
    tokens: dict[str, TokenizedDataset] = {}
    longest = dict.fromkeys(bundled.runs, 0.0)
    succeeded = True
    for fold in bundled.folds:
        started, run = time.time(), bundled.run_of(fold)
        if started + longest[run] > share.until:
            continue  # it would not be finished; another run's may be quicker
        try:
            values = _logits(share, bundled, fold, texts, tokens, tasks[run])
        except OutOfTime:
            break
        except Exception:  # out of memory, say: the other folds still count
            traceback.print_exc()
            print(f"{share.device}: {fold} FAILED, see above", flush=True)
            succeeded = False
            continue
        atomic_write(share.result(fold), lambda p, values=values: np.save(p, values))
        seconds = time.time() - started
        longest[run] = max(longest[run], seconds)
        print(f"{share.device}: {fold}, {len(values):,} rows in {seconds:.0f} s", flush=True)
    return succeeded


def _logits(
    share: WorkerShard,
    bundled: LoadedBundle,
    fold: str,
    texts: list[list[str]],
    tokens: dict[str, TokenizedDataset],
    tasks: list[str],
) -> np.ndarray:
    """One fold's logits of a share's rows, task after task, ``(rows, heads' widths)``.

    ``tokens`` are kept by run: its folds have one tokenizer.
    """
    run = bundled.run_of(fold)
    experiment, device = bundled.runs[run].experiment, torch.device(share.device)
    model, tokenizer = load_fold(FoldFolder(bundled.path / fold), device)
    if run not in tokens:
        tokens[run] = tokenize_dataset(texts, tokenizer, experiment.model)
    logits = predict_logits(
        model,
        tokens[run],
        np.arange(len(texts[0])),
        tasks=tasks,
        max_tokens=experiment.inference.max_tokens_per_batch,
        precision=_precision(experiment, device),
        on_batch=lambda _: _check_time(share.until),
    )
    return np.concatenate([logits[task] for task in tasks], axis=1)


def _precision(experiment: Experiment, device: torch.device) -> str:
    """As trained, but that the T4 has no bf16: the best half precision of the device."""
    asked = experiment.train.precision
    return choose_precision("auto" if asked in ("bf16", "fp16") else asked, device)


def _check_time(until: float) -> None:
    if time.time() > until:
        raise OutOfTime


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    sys.exit(0 if _work(WorkerShard(**told["share"]), told["tasks"]) else 1)
