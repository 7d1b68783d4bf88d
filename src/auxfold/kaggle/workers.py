"""One process per GPU: each predicts every n-th row, fold after fold, until the time is up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from auxfold.config.experiment import Experiment
from auxfold.data.dataset import TokenizedDataset, tokenize_dataset
from auxfold.data.table import Table
from auxfold.inference.fold_loader import FoldLoader, load_fold_tokenizer
from auxfold.inference.predict import concatenate_logits, predict_logits, split_logits
from auxfold.kaggle.loaded_bundle import LoadedBundle
from auxfold.model.amp import choose_amp_dtype
from auxfold.model.backbone import runs_padding_free
from auxfold.storage.atomic import atomic_write
from auxfold.storage.run_folder import FoldFolder
from auxfold.tasks import TaskSet


class OutOfTime(Exception):
    """The time budget is spent."""


@dataclass(frozen=True)
class WorkerShard:
    """The rows of one process: every ``n_shards``-th row, for every fold.

    Attributes:
        bundle: the folder of the bundle.
        test: the table to predict.
        out: the folder for the logits.
        device: the name of the device, such as ``cuda:0``.
        number: the number of the shard, from 0.
        n_shards: the number of shards.
        deadline: when to stop, in seconds since the epoch.
        backbone: a folder with the backbone of adapters; None: it is in the bundle, if there are
            any.
    """

    bundle: str
    test: str
    out: str
    device: str
    number: int
    n_shards: int
    deadline: float
    backbone: str | None = None

    def indices(self, table: Table) -> np.ndarray:
        """The rows of this shard; by length of text, so that all shards take equally long."""
        lengths = [sum(len(column[row]) for column in table.texts) for row in range(len(table))]
        return np.argsort(lengths, kind="stable")[self.number :: self.n_shards]

    def logits_path(self, fold: str) -> Path:
        """The file for the logits of one fold, ``(rows of the shard, widths of all heads)``."""
        return Path(self.out) / f"{fold.replace('/', ' ')}.{self.number}.npy"


def run_workers(shards: list[WorkerShard], tasks: dict[str, list[str]]) -> None:
    """Run a process per shard, and print its output: a notebook shows only what it prints itself.

    Args:
        shards: the rows of each process.
        tasks: run of the bundle to the names of its tasks whose heads are computed.
    """
    with ThreadPoolExecutor(len(shards)) as pool:
        exit_codes = list(pool.map(lambda shard: _run_process(shard, tasks), shards))
    if any(exit_codes):
        print(f"A PROCESS FAILED: exit codes {exit_codes}, see the output above")


def is_finished(shards: list[WorkerShard], fold: str) -> bool:
    """Whether a fold is predicted for every shard."""
    return all(shard.logits_path(fold).is_file() for shard in shards)


def collect_logits(
    shards: list[WorkerShard], fold: str, table: Table, tasks: TaskSet
) -> dict[str, np.ndarray]:
    """Task name to the logits ``(rows, n_outputs)`` of one fold, in the order of the table."""
    width = sum(task.n_outputs for task in tasks)
    logits = np.empty((len(table), width), dtype=np.float32)
    for shard in shards:
        logits[shard.indices(table)] = np.load(shard.logits_path(fold))
    return split_logits(logits, tasks)


def _run_process(shard: WorkerShard, tasks: dict[str, list[str]]) -> int:
    source = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-m", "auxfold.kaggle.workers"]
    command += [json.dumps({"shard": asdict(shard), "tasks": tasks})]
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="")
    return process.returncode


def predict_shard(shard: WorkerShard, tasks: dict[str, list[str]]) -> bool:
    """Predict the rows of one shard with fold after fold, until the time is up.

    Args:
        shard: the rows, and where they are predicted.
        tasks: run of the bundle to the names of its tasks whose heads are computed.

    Returns:
        Whether no fold failed; a fold for which there was no time did not fail.
    """
    loaded = LoadedBundle.from_folder(Path(shard.bundle))
    table = loaded.table(Path(shard.test))
    indices = shard.indices(table)
    texts = [[column[index] for index in indices] for column in table.texts]
    loader = FoldLoader(torch.device(shard.device), backbone_folder=shard.backbone)
    datasets: dict[str, TokenizedDataset] = {}
    longest = dict.fromkeys(loaded.runs, 0.0)
    succeeded = True
    for fold in loaded.folds:
        started, run = time.time(), loaded.run_of_fold(fold)
        if started + longest[run] > shard.deadline:
            continue  # it would not be finished; a fold of another run may be faster
        try:
            logits = _predict_fold(shard, loaded, fold, loader, texts, datasets, tasks[run])
        except OutOfTime:
            break
        except Exception:  # out of memory, for example: the other folds still count
            traceback.print_exc()
            print(f"{shard.device}: {fold} FAILED, see above", flush=True)
            succeeded = False
            continue
        atomic_write(shard.logits_path(fold), partial(np.save, arr=logits))
        seconds = time.time() - started
        longest[run] = max(longest[run], seconds)
        print(f"{shard.device}: {fold}, {len(logits):,} rows in {seconds:.0f} s", flush=True)
    return succeeded


def _predict_fold(
    shard: WorkerShard,
    loaded: LoadedBundle,
    fold: str,
    loader: FoldLoader,
    texts: list[list[str]],
    datasets: dict[str, TokenizedDataset],
    tasks: list[str],
) -> np.ndarray:
    """One fold's logits for the rows of a shard, task after task, ``(rows, widths of all heads)``.

    ``loader`` keeps the backbone of adapters, and ``datasets`` the tokens by run, because its folds
    have the same tokenizer.
    """
    run = loaded.run_of_fold(fold)
    experiment, device = loaded.runs[run].experiment, loader.device
    folder, amp_dtype = FoldFolder(loaded.path / fold), _choose_amp_dtype(experiment, device)
    model = loader.load(folder, amp_dtype)
    if run not in datasets:
        tokenizer = load_fold_tokenizer(folder)
        datasets[run] = tokenize_dataset(texts, tokenizer, experiment.model, None, experiment.data)
    logits = predict_logits(
        model,
        datasets[run],
        np.arange(len(texts[0])),
        tasks=tasks,
        max_tokens=experiment.inference.max_tokens_per_batch,
        amp_dtype=amp_dtype,
        packed=runs_padding_free(model, experiment.model, device.type),
        on_batch=lambda _: _check_time(shard.deadline),
    )
    return concatenate_logits(logits, tasks)


def _choose_amp_dtype(experiment: Experiment, device: torch.device) -> str:
    """As in training, but half precision in the best format of the device: a T4 has no bf16."""
    setting = experiment.train.precision
    return choose_amp_dtype("auto" if setting in ("bf16", "fp16") else setting, device)


def _check_time(deadline: float) -> None:
    if time.time() > deadline:
        raise OutOfTime


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    success = predict_shard(WorkerShard(**arguments["shard"]), arguments["tasks"])
    sys.exit(0 if success else 1)
