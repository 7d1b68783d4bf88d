"""What training costs against tokens and heads, and what surrounds it against rows, as plots.

A step's cost against tokens is that of rows of equal length; against heads, that of as many tasks
with one label each, on rows of usual lengths. What surrounds the training is reading and storing
the table, opening it again, making folds, and the out-of-fold scores.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from transformers import AutoTokenizer

from auxfold.config.experiment import Experiment, experiment_from_dict
from auxfold.data.folds import make_folds
from benchmarks import evaluate
from benchmarks.experiment import LABELS, N_LABELS, experiment_content, make_experiment
from benchmarks.folds import N_FOLDS, number_texts
from benchmarks.load import FILE, contestants
from benchmarks.options import (
    Backbone,
    add_model_options,
    make_parser,
    resolve_backbone,
    resolve_device,
)
from benchmarks.our_training import OurTraining
from benchmarks.parts import CPU
from benchmarks.record import make_record, run_measurement
from benchmarks.rows import (
    generate_rows,
    generate_texts,
    make_table,
    single_token_words,
    write_table,
)
from benchmarks.timing import alternate, medians, seconds_of

EXAMPLES = """  python -m benchmarks cost
  python -m benchmarks cost --random bert-base --rows 10000,100000
"""
PLOT = Path("docs/explanation/cost.png")
TOKENS = (64, 128, 256, 512)
HEADS = (1, 7, 40)


def main(argv: list[str] | None = None) -> None:
    """Measure, publish, and draw the plot where its page is."""
    parser = make_parser("cost", __doc__ or "", EXAMPLES)
    add_model_options(parser)
    parser.set_defaults(max_length=max(TOKENS))
    parser.add_argument("--steps", type=int, default=4, help="of a turn; default: %(default)s")
    parser.add_argument(
        "--rows", default="10000,100000,1000000", help="of tables; default: %(default)s"
    )
    run_measurement(parser, measure, argv)


def measure(args: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """The record of one measurement."""
    backbone, device = resolve_backbone(args), resolve_device(args)
    costs = {
        "tokens": measure_training(args, device, tokens_contestants(args, backbone, device)),
        "heads": measure_training(args, device, heads_contestants(args, backbone, device)),
        "rows": {int(n): surroundings(int(n), args) for n in args.rows.split(",")},
    }
    case = {"backbone": backbone.name, "batch_size": args.batch_size, "dropout": args.dropout}
    record = make_record("cost", device, args.seed, arguments, case=case, costs=costs)
    if not args.no_table and PLOT.parent.is_dir():
        draw(record).savefig(PLOT, dpi=150)
    return record


def tokens_contestants(
    args: argparse.Namespace, backbone: Backbone, device: torch.device
) -> dict[int, OurTraining]:
    """Trainings on rows of equal length: number of tokens to training."""
    tokenizer = AutoTokenizer.from_pretrained(backbone.path)
    words, n_special = single_token_words(tokenizer), tokenizer.num_special_tokens_to_add()
    experiment, n_rows = make_experiment(args, backbone.path), args.steps * args.batch_size
    return {
        n_tokens: OurTraining(
            experiment,
            generate_texts(np.full(n_rows, n_tokens - n_special), words, args.seed),
            args.seed,
            device,
        )
        for n_tokens in TOKENS
    }


def heads_contestants(
    args: argparse.Namespace, backbone: Backbone, device: torch.device
) -> dict[int, OurTraining]:
    """Trainings on the same rows with as many tasks: number of heads to training."""
    tokenizer = AutoTokenizer.from_pretrained(backbone.path)
    n_rows = args.steps * args.batch_size
    texts = generate_rows(n_rows, tokenizer, args.mean_tokens, seed=args.seed)
    return {
        n_heads: OurTraining(with_heads(args, backbone, n_heads), texts, args.seed, device)
        for n_heads in HEADS
    }


def with_heads(args: argparse.Namespace, backbone: Backbone, n_heads: int) -> Experiment:
    """The experiment with a main task and ``n_heads - 1`` auxiliary ones, of one label each."""
    raw = make_experiment(args, backbone.path).model_dump(mode="json", exclude_unset=True)
    raw["tasks"] = [
        {"name": f"task_{n}", "kind": "binary", "columns": [f"label_{n}"], "main": n == 0}
        for n in range(n_heads)
    ]
    return experiment_from_dict(raw, "benchmark")


def measure_training(
    args: argparse.Namespace, device: torch.device, trainings: dict[int, OurTraining]
) -> dict[int, float]:
    """The milliseconds per row of each training, medians of turns after a warm-up."""
    everything = np.arange(args.steps * args.batch_size)
    runs: dict[str, Callable[[], float]] = {
        str(size): partial(training.run, everything) for size, training in trainings.items()
    }
    for run in runs.values():
        for _ in range(2 if device.type == "cuda" else 1):
            run()
    middle = medians(alternate(runs, args.repetitions))
    return {size: 1e3 * middle[str(size)] / len(everything) for size in trainings}


def surroundings(n_rows: int, args: argparse.Namespace) -> dict[str, float]:
    """The seconds of what surrounds the training of a table, medians after a first call."""
    table = make_table(number_texts(n_rows, args.seed), N_LABELS, args.seed)
    scores = evaluate.make_scoring(n_rows, args.seed)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_table(table, FILE, LABELS)
        experiment = experiment_from_dict(experiment_content("embedded"), "benchmark")
        read, reopen, _ = contestants(experiment).values()
        runs: dict[str, Callable[[], float]] = {
            "read and store the table": read,
            "open it again": reopen,
            f"make {N_FOLDS} folds": lambda: seconds_of(
                lambda: make_folds(table, table.labels, N_FOLDS, True, args.seed), CPU
            ),
            "out-of-fold scores": lambda: seconds_of(scores, CPU),
        }
        read()  # before the table is opened again
        middle = medians(alternate(runs, min(args.repetitions, 3)))
        shutil.rmtree("outputs", ignore_errors=True)
    return middle


def draw(record: dict[str, Any]) -> Figure:
    """Three plots next to each other."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    costs, case = record["costs"], record["case"]
    name = f"{case['backbone']}, batch {case['batch_size']}, {record['device']}"
    figure.suptitle(f"{name} ({record['date']})", fontsize=10)
    _draw_training(left, costs["tokens"], "tokens per row")
    left.set_xscale("log", base=2)
    left.set_xticks(list(costs["tokens"]), [str(size) for size in costs["tokens"]])
    _draw_training(middle, costs["heads"], "heads")
    middle.set_xticks(list(costs["heads"]))
    sizes = list(costs["rows"])
    for part in costs["rows"][sizes[0]]:
        right.plot(sizes, [costs["rows"][size][part] for size in sizes], marker="o", label=part)
    right.set(xscale="log", yscale="log", xlabel="rows of the table", ylabel="seconds")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return figure


def _draw_training(axes: Axes, costs: dict[int, float], label: str) -> None:
    axes.plot(list(costs), list(costs.values()), marker="o")
    for size, cost in costs.items():
        axes.annotate(f"{cost:.3g}", (size, cost), (0, 5), textcoords="offset points", fontsize=8)
    axes.set(xlabel=label, ylabel="milliseconds per row", ylim=(0, 1.15 * max(costs.values())))
