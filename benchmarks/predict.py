"""Rows per second of prediction, of auxfold and of the ``transformers`` pipeline, from texts."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, pipeline

import auxfold
from auxfold.data.dataset import TokenizedDataset, tokenize_dataset
from auxfold.inference.predict import predict_logits
from auxfold.inference.predictor import Predictor
from auxfold.model.amp import DTYPES, choose_amp_dtype
from auxfold.model.backbone import runs_padding_free
from auxfold.storage.run_folder import FULL
from auxfold.training.fold import train_fold
from benchmarks.experiment import LABELS, N_LABELS, make_experiment
from benchmarks.matrix_products import EncoderShape, ProductRunner, matrix_rate, model_flops
from benchmarks.options import (
    Backbone,
    add_model_options,
    load_texts,
    make_parser,
    resolve_backbone,
    resolve_device,
)
from benchmarks.phases import start_phase
from benchmarks.record import make_record, run_measurement
from benchmarks.rows import make_table, thin_out, write_table
from benchmarks.timing import MemoryWatch, alternate, medians, seconds_of
from benchmarks.trainer import PeerSettings, load_classifier

EXAMPLES = """  python -m benchmarks predict
  python -m benchmarks predict --random bert-base --seconds 20
  python -m benchmarks predict --backbone embedded --texts test.csv --json
"""
PIPELINE_BATCH = 32
N_TRAINING_ROWS = 64


def main(argv: list[str] | None = None) -> None:
    """Measure and publish."""
    parser = make_parser("predict", __doc__ or "", EXAMPLES)
    add_model_options(parser)
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="to measure, which decides the rows"
    )
    parser.add_argument("--max-rows", type=int, default=16_384, help="to predict")
    parser.add_argument(
        "--pipeline-dtype",
        choices=["float32", "bfloat16", "float16"],
        default="float32",
        help="weights of the pipeline; default: %(default)s",
    )
    run_measurement(parser, measure, argv)


def measure(args: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """The record of one measurement."""
    start_phase("backbone")
    backbone, device = resolve_backbone(args), resolve_device(args)
    start_phase("texts")
    tokenizer = AutoTokenizer.from_pretrained(backbone.path)
    texts = load_texts(args, tokenizer, args.max_rows)
    with trained_predictor(args, backbone, device, texts) as predictor:
        race = PredictionRace(args, backbone, device, texts, predictor)
        return make_record("predict", device, args.seed, arguments, **race.run())


@contextlib.contextmanager
def trained_predictor(
    args: argparse.Namespace, backbone: Backbone, device: torch.device, texts: list[str]
) -> Iterator[Predictor]:
    """What ``auxfold.load`` gives, of a model that was trained for two steps."""
    table = make_table(texts[:N_TRAINING_ROWS], N_LABELS, args.seed)
    start_phase("a training of two steps")
    experiment = make_experiment(args, backbone.path, train={"epochs": 1})
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_table(table, "generated.csv", LABELS)
        with contextlib.redirect_stdout(sys.stderr):
            path = train_fold(experiment, FULL).path
            predictor = auxfold.load(path, devices=[str(device)])
        assert isinstance(predictor, Predictor), "a fold, and not a blend"
        yield predictor


class PredictionRace:
    """Ours and the pipeline on the same texts.

    Args:
        args: of the command.
        backbone: what both of them run.
        device: where they run.
        texts: as many of them are predicted as there is time for.
        predictor: a trained model of ours.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        backbone: Backbone,
        device: torch.device,
        texts: list[str],
        predictor: Predictor,
    ) -> None:
        start_phase("tokens and pipeline")
        self.args, self.backbone, self.device = args, backbone, device
        self.texts, self.predictor = texts, predictor
        settings = predictor.experiment.model
        self.dataset = tokenize_dataset([texts], predictor.tokenizer, settings)
        self.lengths = self.dataset.lengths()
        self.amp_dtype = choose_amp_dtype(args.precision, device)
        self.dtype = DTYPES.get(self.amp_dtype, torch.float32)
        self.shape = EncoderShape.of(predictor.models[0][0].backbone)
        self.products = ProductRunner(self.shape, self.dtype, device)
        self.memory = {"auxfold": MemoryWatch(device), "pipeline": MemoryWatch(device)}
        weights = predictor.models[0][0].parameters()
        self.memory["auxfold"].resident = sum(weight.nbytes for weight in weights)
        self.pipeline = self.memory["pipeline"].track(self._make_pipeline)

    def _make_pipeline(self) -> Any:
        settings = PeerSettings(
            backbone=self.backbone.path,
            batch_size=PIPELINE_BATCH,
            dropout=True,  # of no effect in prediction
            n_labels=N_LABELS,
            amp_dtype=self.amp_dtype,
            device=self.device,
            folder=Path(),
        )
        model = load_classifier(settings).to(getattr(torch, self.args.pipeline_dtype))
        return pipeline(
            "text-classification",
            model=model,
            tokenizer=AutoTokenizer.from_pretrained(self.backbone.path),
            device=self.device,
            batch_size=PIPELINE_BATCH,
            top_k=None,
            function_to_apply="sigmoid",
        )

    def run(self) -> dict[str, Any]:
        """Choose the rows, warm up, and measure in turns: the content of the record."""
        start_phase("trial")
        indices = self.choose_rows()
        start_phase("warm-up")
        runs = {name: self.runner(name, indices) for name in ("auxfold", "tokens", "pipeline")}
        for name, run in runs.items():  # warm-up
            self.memory[name].track(run) if name in self.memory else run()
        timed: dict[str, Callable[[], float]] = {
            name: self._watched(name, run) for name, run in runs.items()
        }
        if self.device.type == "cuda":
            timed["matrix_rate"] = lambda: 1 / matrix_rate(self.device, self.dtype)
        else:
            batches = length_batches(self.lengths[indices])
            timed["matrix_products"] = lambda: self.products.seconds(batches, backward=False)
        start_phase("turns")
        return self.summarize(alternate(timed, self.args.repetitions), indices)

    def _watched(self, name: str, run: Callable[[], float]) -> Callable[[], float]:
        watch = self.memory.get(name)
        return run if watch is None else lambda: watch.measure(run)

    def runner(self, name: str, indices: np.ndarray) -> Callable[[], float]:
        """A function that predicts these rows and returns its seconds."""
        texts = [self.texts[index] for index in indices]
        ways: dict[str, Callable[[], Any]] = {
            "auxfold": lambda: self.predictor.predict(texts, tasks="all"),
            "tokens": lambda: predict_tokens(self.predictor, self.dataset, indices, self.amp_dtype),
            "pipeline": lambda: self.pipeline(
                texts, truncation=True, max_length=self.args.max_length
            ),
        }
        return lambda: seconds_of(ways[name], self.device)

    def choose_rows(self) -> np.ndarray:
        """As many rows as fit the time."""
        n_all = len(self.texts)
        n_rows = min(2 * PIPELINE_BATCH, n_all)
        sample, cost = thin_out(self.lengths, n_rows), 0.0  # seconds of a row in all ways
        for name in ("auxfold", "tokens", "pipeline"):
            run = self.runner(name, sample)
            run()
            cost += run() / n_rows
        n_rows = int(self.args.seconds / (self.args.repetitions + 1) / cost)
        return thin_out(self.lengths, min(max(n_rows, 2 * PIPELINE_BATCH), n_all))

    def summarize(self, seconds: dict[str, list[float]], indices: np.ndarray) -> dict[str, Any]:
        """Ratios and medians."""
        middle, lengths = medians(seconds), self.lengths[indices]
        rates = {name: len(indices) / middle[name] for name in ("auxfold", "tokens", "pipeline")}
        flops = model_flops(self.shape, lengths, backward=False)
        if "matrix_rate" in middle:
            floor = flops * middle["matrix_rate"]
        else:
            floor = middle["matrix_products"]
        figures = {f"{name}_rows_per_second": rate for name, rate in rates.items()}
        figures["matrix_flops_per_second"] = flops / floor
        figures["floor_share_from_texts"] = floor / middle["auxfold"]
        return {
            "case": {
                "backbone": self.backbone.name,
                "amp_dtype": self.amp_dtype,
                "pipeline_dtype": self.args.pipeline_dtype,
                "tokens": f"{lengths.mean():.0f} (at most {lengths.max()})",
                "pooling": self.args.pooling,
                "outputs": N_LABELS,
                "settings": self.args.set,
                "rows": len(indices),
            },
            "ratios": {
                "pipeline": rates["auxfold"] / rates["pipeline"],
                "floor_share": floor / middle["tokens"],
            },
            "medians": figures,
            "memory_gib": {name: watch.peak_gib for name, watch in self.memory.items()},
            "seconds": seconds,
        }


def predict_tokens(
    predictor: Predictor, dataset: TokenizedDataset, indices: np.ndarray, amp_dtype: str
) -> dict[str, np.ndarray]:
    """Our logits of rows that are tokenized already."""
    model = predictor.models[0][0]
    return predict_logits(
        model,
        dataset,
        indices,
        tasks=predictor.ensemble.tasks.names,
        max_tokens=predictor.experiment.inference.max_tokens_per_batch,
        amp_dtype=amp_dtype,
        packed=runs_padding_free(model, predictor.experiment.model, model.device.type),
    )


def length_batches(lengths: np.ndarray) -> list[np.ndarray]:
    """The lengths in batches of 64 rows of similar length."""
    ordered = np.sort(lengths)[::-1]
    return [ordered[start : start + 64] for start in range(0, len(ordered), 64)]
