"""Rows per second of training, of auxfold and of ``transformers.Trainer`` on the same rows."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from auxfold.config.experiment import Experiment
from auxfold.data.batches import training_steps
from auxfold.model.amp import DTYPES
from auxfold.tasks import TaskSet
from auxfold.training.build import FoldParts, build_fold, start_accelerator
from auxfold.training.step_counter import SECONDS
from auxfold.training.step_runner import training_stream
from benchmarks.experiment import N_LABELS, make_experiment
from benchmarks.matrix_products import EncoderShape, ProductRunner, matrix_rate, model_flops
from benchmarks.options import (
    Backbone,
    add_model_options,
    load_texts,
    make_parser,
    resolve_backbone,
    resolve_device,
)
from benchmarks.record import make_record, publish
from benchmarks.rows import make_table, thin_out
from benchmarks.timing import MemoryWatch, alternate, medians, seconds_of
from benchmarks.trainer import PeerSettings, TrainerPeer, tokenize_rows

EXAMPLES = """  python -m benchmarks train
  python -m benchmarks train --random bert-base --batch-size 32 --seconds 20
  python -m benchmarks train --backbone embedded --dropout off --seconds 200 --json
  python -m benchmarks train --texts train.csv --text-column comment_text
"""
MIN_STEPS = {"cpu": 4, "cuda": 16}
DEFAULT_SHARE = 0.2  # of the time goes to the Trainer with its defaults, which needs few steps


def main(argv: list[str] | None = None) -> None:
    """Measure and publish."""
    parser = make_parser("train", __doc__ or "", EXAMPLES)
    add_model_options(parser)
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="to measure, which decides the rows"
    )
    parser.add_argument("--max-rows", type=int, default=16_384, help="of an epoch")
    parser.add_argument(
        "--only", choices=["auxfold"], help="measure auxfold alone, without the Trainer"
    )
    args = parser.parse_args(argv)
    record = measure(args, sys.argv[2:] if argv is None else argv)
    publish(record, args.json, not args.no_table)


def measure(args: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """The record of one measurement."""
    backbone, device = resolve_backbone(args), resolve_device(args)
    tokenizer = AutoTokenizer.from_pretrained(backbone.path)
    texts = load_texts(args, tokenizer, args.max_rows)
    with tempfile.TemporaryDirectory() as folder:
        race = TrainingRace(args, backbone, device, texts, Path(folder))
        return make_record("train", device, args.seed, arguments, **race.run())


class TrainingRace:
    """Ours and the peers on the same rows.

    Args:
        args: of the command.
        backbone: what all of them train.
        device: where they train.
        texts: the rows; as many of them are used as there is time for.
        folder: where the Trainer may write.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        backbone: Backbone,
        device: torch.device,
        texts: list[str],
        folder: Path,
    ) -> None:
        self.args, self.backbone, self.device = args, backbone, device
        self.memory = {"auxfold": MemoryWatch(device)}
        experiment = make_experiment(args, backbone.path)
        self.ours = self.memory["auxfold"].track(
            lambda: OurTraining(experiment, texts, args.seed, device)
        )
        self.lengths = self.ours.parts.stepper.dataset.lengths()
        self.amp_dtype = self.ours.parts.amp_dtype
        self.shape = EncoderShape.of(self.ours.parts.model.backbone)
        self.dtype = DTYPES.get(self.amp_dtype, torch.float32)
        self.products = ProductRunner(self.shape, self.dtype, device)
        self.peers: dict[str, TrainerPeer] = {}
        if args.only is None:
            self._add_peers(texts, folder)

    def _add_peers(self, texts: list[str], folder: Path) -> None:
        args = self.args
        settings = PeerSettings(
            backbone=self.backbone.path,
            batch_size=args.batch_size,
            dropout=args.dropout == "on",
            n_labels=N_LABELS,
            amp_dtype=self.amp_dtype,
            device=self.device,
            folder=folder,
        )
        labels = self.ours.labels
        self.rows = tokenize_rows(texts, labels, self.backbone.path, args.max_length)
        makers = {
            "trainer_best": TrainerPeer.at_its_best,
            "trainer_default": TrainerPeer.with_defaults,
        }
        for name, make_peer in makers.items():
            watch = self.memory[name] = MemoryWatch(self.device)
            self.peers[name] = watch.track(partial(make_peer, settings))

    def run(self) -> dict[str, Any]:
        """Choose the rows, warm up, and measure in turns: the content of the record."""
        indices = self.choose_rows()
        contestants = {name: self.runner(name, indices[name]) for name in indices}
        for name, run in contestants.items():
            self.memory[name].track(run)  # warm-up, with the sizes that are measured
        batches = self.ours.batch_lengths(indices["auxfold"])
        timed: dict[str, Callable[[], float]] = {
            name: self._watched(name, run) for name, run in contestants.items()
        }
        if self.device.type == "cuda":
            timed["matrix_rate"] = lambda: 1 / matrix_rate(self.device, self.dtype)
        else:
            timed["matrix_products"] = lambda: self.products.seconds(batches, backward=True)
        seconds = alternate(timed, self.args.repetitions)
        return self.summarize(seconds, indices)

    def _watched(self, name: str, run: Callable[[], float]) -> Callable[[], float]:
        return lambda: self.memory[name].measure(run)

    def runner(self, name: str, indices: np.ndarray) -> Callable[[], float]:
        """A function that trains one epoch on these rows and returns its seconds."""
        if name == "auxfold":
            return lambda: self.ours.run(indices)
        rows = [self.rows[index] for index in indices]
        return lambda: self.peers[name].run(rows)

    def choose_rows(self) -> dict[str, np.ndarray]:
        """The rows of every contestant: as many as fit the time, of the same lengths."""
        batch, n_all = self.args.batch_size, len(self.lengths)
        rates = {name: self._rate(name) for name in ("auxfold", *self.peers)}
        per_repetition = self.args.seconds / (self.args.repetitions + 1)
        costs = {name: batch / rate for name, rate in rates.items()}  # seconds of a step
        default_cost = costs.pop("trainer_default", None)
        if self.device.type == "cpu":
            costs["matrix_products"] = costs["auxfold"]  # at most
        share = 1.0 if default_cost is None else 1 - DEFAULT_SHARE
        n_steps = int(share * per_repetition / sum(costs.values()))
        n_steps = min(max(n_steps, MIN_STEPS[self.device.type]), max(n_all // batch, 1))
        indices = thin_out(self.lengths, min(n_steps * batch, n_all))
        chosen = dict.fromkeys(rates, indices)
        if default_cost is not None:
            n_default = int(DEFAULT_SHARE * per_repetition / default_cost)
            n_rows = min(max(n_default, 2), n_steps) * batch
            if n_rows < len(indices):
                chosen["trainer_default"] = indices[thin_out(self.lengths[indices], n_rows)]
        return chosen

    def _rate(self, name: str) -> float:
        """Rows per second over a few steps, after some that do not count."""
        n_steps = 1 if name == "trainer_default" and self.device.type == "cpu" else 3
        n_rows = min(n_steps * self.args.batch_size, len(self.lengths))
        run = self.runner(name, thin_out(self.lengths, n_rows))
        # On a GPU the first steps are not captured yet, and the next ones are being captured.
        for _ in range(2 if self.device.type == "cuda" else 1):
            self.memory[name].track(run)
        return n_rows / run()

    def summarize(
        self, seconds: dict[str, list[float]], indices: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        """Ratios and medians."""
        middle = medians(seconds)
        rates = {name: len(indices[name]) / middle[name] for name in indices}
        flops = model_flops(self.shape, self.lengths[indices["auxfold"]], backward=True)
        achieved = flops / middle["auxfold"]
        ratios = {name: rates["auxfold"] / rates[name] for name in self.peers}
        figures = {f"{name}_rows_per_second": rate for name, rate in rates.items()}
        figures["model_flops_per_second"] = achieved
        if "matrix_rate" in middle:
            figures["matrix_flops_per_second"] = 1 / middle["matrix_rate"]
            ratios["floor_share"] = achieved * middle["matrix_rate"]
        else:
            figures["matrix_products_seconds"] = middle["matrix_products"]
            figures["matrix_flops_per_second"] = flops / middle["matrix_products"]
            ratios["floor_share"] = middle["matrix_products"] / middle["auxfold"]
        lengths = self.lengths[indices["auxfold"]]
        case = {
            "backbone": self.backbone.name,
            "batch_size": self.args.batch_size,
            "dropout": self.args.dropout,
            "amp_dtype": self.amp_dtype,
            "tokens": f"{lengths.mean():.0f} (at most {lengths.max()})",
            "pooling": self.args.pooling,
            "outputs": N_LABELS,
            "settings": self.args.set,
            "rows": {name: len(rows) for name, rows in indices.items()},
        }
        memory = {name: watch.peak_gib for name, watch in self.memory.items()}
        return {
            "case": case,
            "ratios": ratios,
            "medians": figures,
            "memory_gib": memory,
            "seconds": seconds,
        }


class OurTraining:
    """The training of auxfold, whose every run is one epoch over some rows.

    Args:
        experiment: of :func:`make_experiment`.
        texts: all rows.
        seed: of labels and weights.
        device: where it trains.
    """

    def __init__(
        self, experiment: Experiment, texts: list[str], seed: int, device: torch.device
    ) -> None:
        tasks = TaskSet.from_experiment(experiment)
        table = make_table(texts, N_LABELS, seed)
        self.experiment, self.labels, self.device = experiment, table.labels, device
        accelerator = start_accelerator(experiment)
        if accelerator.device.type != device.type:
            raise RuntimeError(f"accelerate trains on {accelerator.device}, not on {device}")
        self.stream = training_stream(device)
        everything = np.arange(len(texts))
        self.parts: FoldParts = build_fold(experiment, tasks, table, everything, accelerator, seed)
        self.parts.model.train()

    def run(self, indices: np.ndarray) -> float:
        """Train one epoch on these rows; the seconds until the device has finished."""
        steps = self.steps(indices)
        with self.stream:
            return seconds_of(lambda: run_steps(self.parts, steps), self.device)

    def steps(self, indices: np.ndarray) -> list[np.ndarray]:
        """The rows of every step, as in the first epoch of a fold on these rows."""
        settings = self.experiment.train
        lengths = self.parts.stepper.dataset.lengths()[indices]
        steps = training_steps(
            lengths, settings.batch_size, settings.length_bucket_steps, self.experiment.seed, 0
        )
        return [indices[positions] for positions in steps]

    def batch_lengths(self, indices: np.ndarray) -> list[np.ndarray]:
        """The lengths of the rows of every micro-batch of an epoch on these rows."""
        lengths = self.parts.stepper.dataset.lengths()
        stepper = self.parts.stepper
        return [
            lengths[batch] for step in self.steps(indices) for batch in stepper.micro_batches(step)
        ]


def run_steps(parts: FoldParts, steps: list[np.ndarray]) -> None:
    """The optimizer steps over these rows, as the loop of ``FoldTrainer`` makes and reads them."""
    log, read_at = parts.stepper.log, time.perf_counter()
    parts.runner.start_epoch(steps, None)
    for indices in steps:
        parts.runner.train_step(indices)
        if log.is_full or time.perf_counter() - read_at > SECONDS:
            log.read()
            read_at = time.perf_counter()
    log.read()
