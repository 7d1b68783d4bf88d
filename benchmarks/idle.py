"""The share of a training epoch, evaluation and logging included, in which the GPU is idle.

A fold is trained for three epochs as ``auxfold train`` does it: one to warm up, one whose seconds
count, and one under the profiler, which tells how long the GPU was busy. The profiler slows the
host down and so is not on when the seconds are taken.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import AutoTokenizer

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.training import fold as fold_module
from auxfold.training.fold_log import FoldLog
from auxfold.training.split import create_folds
from benchmarks.experiment import LABELS, N_LABELS, make_experiment
from benchmarks.options import (
    add_model_options,
    load_texts,
    make_parser,
    resolve_backbone,
    resolve_device,
)
from benchmarks.phases import start_phase
from benchmarks.record import make_record, run_measurement
from benchmarks.rows import make_table, write_table
from benchmarks.timing import synchronize

EXAMPLES = """  python -m benchmarks idle --random bert-base
"""
TIMED_EPOCH, PROFILED_EPOCH = 1, 2


def main(argv: list[str] | None = None) -> None:
    """Measure and publish."""
    parser = make_parser("idle", __doc__ or "", EXAMPLES)
    add_model_options(parser)
    parser.add_argument(
        "--rows", type=int, default=6_400, help="a fifth of them is validated; default: %(default)s"
    )
    run_measurement(parser, measure, argv)


def measure(args: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """The record of one measurement.

    Raises:
        InputError: there is no GPU.
    """
    device = resolve_device(args)
    if device.type != "cuda":
        raise InputError("benchmarks idle needs a CUDA device; a CPU that computes is never idle")
    start_phase("backbone")
    backbone = resolve_backbone(args)
    start_phase("texts")
    texts = load_texts(args, AutoTokenizer.from_pretrained(backbone.path), args.rows)
    train = {"epochs": 3, "evaluations_per_epoch": 2}
    experiment = make_experiment(args, backbone.path, train=train, folds={"n_splits": 5})
    watch = train_watched(experiment, texts, args.seed)
    return make_record(
        "idle",
        device,
        args.seed,
        arguments,
        case={
            "backbone": backbone.name,
            "batch_size": args.batch_size,
            "dropout": args.dropout,
            "amp_dtype": watch.amp_dtype,
            "settings": args.set,
            "rows": len(texts),
        },
        ratios={},
        medians={
            "idle_share": 1 - watch.busy_seconds / watch.seconds[TIMED_EPOCH],
            "seconds": watch.seconds[TIMED_EPOCH],
            "busy_seconds": watch.busy_seconds,
            "profiled_seconds": watch.seconds[PROFILED_EPOCH],
        },
    )


class EpochWatch:
    """Times one epoch and profiles another, from the first step to the last evaluation."""

    def __init__(self) -> None:
        self.started = self.busy_seconds = 0.0
        self.seconds: dict[int, float] = {}
        self.profiler: profile | None = None
        self.amp_dtype = ""

    def before_step(self, epoch: int, device: torch.device) -> None:
        """Start, where this is the first step of an epoch that counts."""
        if epoch not in (TIMED_EPOCH, PROFILED_EPOCH) or self.started:
            return
        synchronize(device)
        if epoch == PROFILED_EPOCH:
            self.profiler = profile(activities=[ProfilerActivity.CUDA])
            self.profiler.start()
        self.started = time.perf_counter()

    def after_last_evaluation(self, epoch: int, device: torch.device) -> None:
        """Stop, where the epoch counts."""
        if not self.started:
            return
        synchronize(device)
        self.seconds[epoch] = time.perf_counter() - self.started
        self.started = 0.0
        if self.profiler is not None:
            self.profiler.stop()
            self.busy_seconds = busy_nanoseconds(*device_intervals(self.profiler)) / 1e9


def train_watched(experiment: Experiment, texts: list[str], seed: int) -> EpochWatch:
    """Train fold 0 of generated rows in a temporary folder, and watch it."""
    start_phase("table and folds")
    watch = EpochWatch()

    class WatchedTrainer(fold_module.FoldTrainer):
        def take_step(self, indices: np.ndarray) -> None:
            watch.amp_dtype = self.parts.amp_dtype
            watch.before_step(self.progress.epoch, self.accelerator.device)
            super().take_step(indices)

        def evaluate_and_select(self, share_of_epoch: float, log: FoldLog) -> None:
            super().evaluate_and_select(share_of_epoch, log)
            if share_of_epoch == 1:
                watch.after_last_evaluation(self.progress.epoch, self.accelerator.device)

    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(sys.stderr),
        patch.object(fold_module, "FoldTrainer", WatchedTrainer),
    ):
        write_table(make_table(texts, N_LABELS, seed), "generated.csv", LABELS)
        create_folds(experiment)
        start_phase("three epochs")
        fold_module.train_fold(experiment, 0)
    return watch


def device_intervals(profiler: profile) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of everything that ran on the GPU, in nanoseconds."""
    results: Any = profiler.profiler
    events = [
        (event.start_ns(), event.start_ns() + event.duration_ns())
        for event in results.kineto_results.events()
        if event.device_type() == torch.autograd.DeviceType.CUDA
    ]
    starts, ends = np.array(events, dtype=np.int64).reshape(-1, 2).T
    return starts, ends


def busy_nanoseconds(starts: np.ndarray, ends: np.ndarray) -> int:
    """The length of the union of intervals, which may overlap."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    if not len(starts):
        return 0
    # Where an interval starts before everything up to then has ended, only the rest is new.
    previous = np.concatenate([starts[:1], ends[:-1]])
    return int(np.maximum(ends - np.maximum(starts, previous), 0).sum())
