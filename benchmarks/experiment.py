"""The experiment that benchmarks train: a main task with one label, an auxiliary one with five."""

from __future__ import annotations

import argparse
from typing import Any

from auxfold.config.experiment import Experiment, experiment_from_dict
from auxfold.config.overrides import apply_override

N_LABELS = 6
LABELS = [f"label_{number}" for number in range(N_LABELS)]


def make_experiment(args: argparse.Namespace, backbone: str, **sections: Any) -> Experiment:
    """The experiment of a benchmark.

    Args:
        args: of a command with :func:`benchmarks.options.add_model_options`.
        backbone: a folder or a hub name.
        sections: keys of sections that differ, such as ``train={"epochs": 1}``.

    Raises:
        InputError: an override of ``--set`` does not fit the schema.
    """
    raw = experiment_content(backbone)
    raw["seed"] = args.seed
    raw["model"] |= {"max_length": args.max_length, "pooling": args.pooling}
    if args.dropout == "off":
        raw["model"] |= {"hidden_dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0}
    raw["train"] |= {"batch_size": args.batch_size, "precision": args.precision}
    for name, keys in sections.items():
        raw[name] = {**raw.get(name, {}), **keys}
    for override in args.set:
        apply_override(raw, override)
    return experiment_from_dict(raw, "benchmark")


def experiment_content(backbone: str) -> dict[str, Any]:
    """The experiment file of benchmarks, as a dictionary."""
    return {
        "name": "benchmark",
        "data": {"train": "generated.csv"},
        "model": {"backbone": backbone},
        "tasks": [
            {"name": "main", "kind": "binary", "columns": LABELS[:1], "main": True},
            {"name": "auxiliary", "kind": "binary", "columns": LABELS[1:]},
        ],
        "train": {"epochs": 1000, "learning_rate": 1e-5},  # which does not reach 0
        "tracking": {"wandb": "off"},
    }
