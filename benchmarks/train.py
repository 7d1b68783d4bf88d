"""Rows per second of training, of auxfold and of ``transformers.Trainer`` on the same rows."""

from __future__ import annotations

import argparse
import contextlib
import gc
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from auxfold.model.amp import DTYPES
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
from benchmarks.our_training import OurTraining
from benchmarks.phases import start_phase
from benchmarks.record import make_record, run_measurement
from benchmarks.rows import thin_out
from benchmarks.timing import MemoryWatch, PeakAbove, alternate, medians
from benchmarks.trainer import PeerSettings, TrainerPeer, tokenize_rows

EXAMPLES = """  python -m benchmarks train
  python -m benchmarks train --random bert-base --batch-size 32 --seconds 20
  python -m benchmarks train --backbone embedded --dropout off --seconds 200 --json
  python -m benchmarks train --texts train.csv --text-column comment_text
"""
MIN_STEPS = 4  # of a turn
TRIAL_STEPS = 3  # from which the rows are chosen
DEFAULT_SHARE = 0.2  # of the time goes to the Trainer with its defaults, which needs few steps
PEERS = {"trainer_best": TrainerPeer.at_its_best, "trainer_default": TrainerPeer.with_defaults}


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
    run_measurement(parser, measure, argv)


def measure(args: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """The record of one measurement."""
    start_phase("backbone")
    backbone, device = resolve_backbone(args), resolve_device(args)
    start_phase("texts")
    tokenizer = AutoTokenizer.from_pretrained(backbone.path)
    texts = load_texts(args, tokenizer, args.max_rows)
    with tempfile.TemporaryDirectory() as folder:
        race = TrainingRace(args, backbone, device, texts, Path(folder))
        return make_record("train", device, args.seed, arguments, **race.run())


class TrainingRace:
    """Ours and the peers on the same rows, in turns.

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
        start_phase("auxfold: tokens and model")
        self.args, self.backbone, self.device, self.texts = args, backbone, device, texts
        self.memory: dict[str, MemoryWatch | PeakAbove] = {}
        self.watch = self.memory["auxfold"] = MemoryWatch(device)
        experiment = make_experiment(args, backbone.path)
        self.ours = self.watch.track(lambda: OurTraining(experiment, texts, args.seed, device))
        self.lengths = self.ours.parts.stepper.dataset.lengths()
        self.shape = EncoderShape.of(self.ours.parts.model.backbone)
        self.dtype = DTYPES.get(self.ours.parts.amp_dtype, torch.float32)
        self.products = ProductRunner(self.shape, self.dtype, device)
        self.peer_settings = PeerSettings(
            backbone=backbone.path,
            batch_size=args.batch_size,
            dropout=args.dropout == "on",
            n_labels=N_LABELS,
            amp_dtype=self.ours.parts.amp_dtype,
            device=device,
            folder=folder,
        )

    def run(self) -> dict[str, Any]:
        """Choose the rows, warm up, and measure in turns: the content of the record."""
        repetitions, seconds_of_turn = self.args.repetitions, self.turn_seconds()
        ours = self.our_step_seconds()
        products = ours if self.device.type == "cpu" else 0.0  # at most
        if self.args.only:
            indices = self.choose_rows(seconds_of_turn / (ours + products))
            seconds = alternate(self.make_turns(indices), repetitions)
            return self.summarize(seconds, {"auxfold": indices})
        with self.make_peer("trainer_best") as peer:
            step_seconds = 2 * ours + products + self.step_seconds(peer)
            indices = self.choose_rows((1 - DEFAULT_SHARE) * seconds_of_turn / step_seconds)
            turns = self.make_turns(indices)
            start_phase("turns of trainer_best and auxfold")
            best, seconds = peer.take_turns(self.rows_of(indices), turns, repetitions)
        with self.make_peer("trainer_default") as peer:
            n_steps = int(DEFAULT_SHARE * seconds_of_turn / self.step_seconds(peer))
            n_rows = max(n_steps, MIN_STEPS) * self.args.batch_size
            few = indices[thin_out(self.lengths[indices], min(n_rows, len(indices)))]
            start_phase("turns of trainer_default and auxfold")
            beside = {"auxfold_beside_default": turns["auxfold"]}
            default, others = peer.take_turns(self.rows_of(few), beside, repetitions)
        seconds |= {"trainer_best": best, "trainer_default": default, **others}
        rows = {"auxfold": indices, "trainer_best": indices, "trainer_default": few}
        return self.summarize(seconds, rows)

    def turn_seconds(self) -> float:
        """The seconds of one turn of everybody, of which one more is for warm-up."""
        return self.args.seconds / (self.args.repetitions + 1)

    @contextlib.contextmanager
    def make_peer(self, name: str) -> Iterator[TrainerPeer]:
        """A Trainer, whose memory is freed afterwards."""
        start_phase(f"{name}: model and trial")
        peer = PEERS[name](self.peer_settings)
        self.memory[name] = peer.memory
        yield peer
        del peer.trainer
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def rows_of(self, indices: np.ndarray) -> list[dict[str, Any]]:
        """These rows as a Trainer takes them."""
        texts = [self.texts[index] for index in indices]
        labels = self.ours.labels[indices]
        return tokenize_rows(texts, labels, self.backbone.path, self.args.max_length)

    def choose_rows(self, n_steps: float) -> np.ndarray:
        """The rows of about ``n_steps`` steps, with the distribution of all lengths."""
        batch, n_all = self.args.batch_size, len(self.lengths)
        n_whole = min(max(int(n_steps), MIN_STEPS), max(n_all // batch, 1))
        return thin_out(self.lengths, min(n_whole * batch, n_all))

    def make_turns(self, indices: np.ndarray) -> dict[str, Callable[[], float]]:
        """Ours and the matrix products on these rows, warmed up; each gives its seconds."""
        start_phase("auxfold: warm-up")
        self.warm_up(indices)
        turns = {"auxfold": lambda: self.watch.measure(lambda: self.ours.run(indices))}
        if self.device.type == "cuda":
            return turns | {"matrix_rate": lambda: 1 / matrix_rate(self.device, self.dtype)}
        batches = self.ours.batch_lengths(indices)
        return turns | {"matrix_products": lambda: self.products.seconds(batches, backward=True)}

    def warm_up(self, indices: np.ndarray) -> None:
        """Run ours: on a GPU the first steps are not captured yet, and the next ones are being."""
        for _ in range(2 if self.device.type == "cuda" else 1):
            self.watch.track(lambda: self.ours.run(indices))

    def our_step_seconds(self) -> float:
        """The seconds of a step of ours, over a few."""
        start_phase("auxfold: trial")
        indices = self.choose_rows(TRIAL_STEPS)
        self.warm_up(indices)
        return self.ours.run(indices) * self.args.batch_size / len(indices)

    def step_seconds(self, peer: TrainerPeer) -> float:
        """The seconds of a step of the Trainer, over a few."""
        rows = self.rows_of(self.choose_rows(TRIAL_STEPS))
        (seconds,), _ = peer.take_turns(rows, {}, 1)
        return seconds * self.args.batch_size / len(rows)

    def summarize(
        self, seconds: dict[str, list[float]], indices: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        """Ratios and medians."""
        middle = medians(seconds)
        rates = {name: len(indices[name]) / middle[name] for name in indices}
        flops = model_flops(self.shape, self.lengths[indices["auxfold"]], backward=True)
        ratios = {}
        if "trainer_best" in rates:
            beside = len(indices["auxfold"]) / middle["auxfold_beside_default"]
            ratios["trainer_best"] = rates["auxfold"] / rates["trainer_best"]
            ratios["trainer_default"] = beside / rates["trainer_default"]
        figures = {f"{name}_rows_per_second": rate for name, rate in rates.items()}
        figures["model_flops_per_second"] = achieved = flops / middle["auxfold"]
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
            "amp_dtype": self.ours.parts.amp_dtype,
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
