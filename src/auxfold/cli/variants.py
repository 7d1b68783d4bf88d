"""Variants of an experiment, trained by commands on the same held-out rows, seed by seed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from auxfold.cli.experiment_options import experiment_arguments, experiment_path
from auxfold.cli.options import parse_folds, parse_list
from auxfold.cli.processes import call_command
from auxfold.config.experiment import Experiment, load_experiment
from auxfold.errors import InputError
from auxfold.storage.run_folder import FULL, RunFolder

BASELINE = "baseline"  # the variant of a comparison in which nothing is changed
FIXED = ("name", "seed", "folds.seed", "data.rows")  # what a comparison sets itself
Pairs = list[tuple[int, int]]


def add_pairs(parser: argparse.ArgumentParser) -> None:
    """``--seeds`` and ``--folds`` of commands that train several variants."""
    parser.add_argument("--seeds", help="e.g. 42,1,2 (default: the experiment's)")
    parser.add_argument("--folds", help="e.g. 0,1 (default: all)")


def parse_pairs(args: argparse.Namespace, experiment: Experiment) -> Pairs:
    """The pairs of seed and fold of ``--seeds`` and ``--folds``, each once.

    Raises:
        InputError: no numbers, or no such fold.
    """
    folds = parse_folds(args.folds) or list(experiment.folds.names)
    if FULL in folds:
        raise InputError("--folds full: without held-out rows there is nothing to compare")
    unknown = [fold for fold in folds if fold not in experiment.folds.names]
    if unknown:
        raise InputError(
            f"--folds {unknown[0]}: there are {', '.join(map(str, experiment.folds.names))}"
        )
    seeds = parse_seeds(args.seeds) or [experiment.seed]
    return list(dict.fromkeys((seed, int(fold)) for seed in seeds for fold in folds))


def parse_seeds(text: str | None) -> list[int]:
    """``"42,1"`` to ``[42, 1]``."""
    seeds = parse_list(text or "")
    if not all(seed.isdecimal() for seed in seeds):
        raise InputError(f"--seeds {text}: numbers separated by commas")
    return [int(seed) for seed in seeds]


def train_variants(
    args: argparse.Namespace,
    experiment: Experiment,
    variants: dict[str, list[str]],
    pairs: Pairs,
    run_name: Callable[[str, int], str],
) -> None:
    """Train every variant on every pair of seed and fold; what is finished is kept.

    The experiment's own seed divides the rows of every variant (with ``--rows`` another seed draws
    other rows). Each training is a process of its own.

    Args:
        args: the command's ``--config`` or ``--run``, ``--set`` and ``--rows``.
        experiment: which they name.
        variants: name to the ``key=value`` of the variant; the others are compared with the first.
        pairs: seed and fold.
        run_name: the experiment's name of a variant and a seed.

    Raises:
        InputError: before any training, where a setting is not valid, two variants would have one
            name, or a variant holds out other rows.
    """
    config = experiment_path(args)
    settings = {
        (variant, seed): _settings(args, experiment, changes, seed, run_name(variant, seed))
        for seed in dict.fromkeys(seed for seed, _ in pairs)
        for variant, changes in variants.items()
    }
    names = [load_experiment(config, overrides).name for overrides in settings.values()]
    if len(set(names)) < len(names):
        raise InputError(f"two variants would be trained as one: {', '.join(variants)}")
    n_trainings = len(variants) * len(pairs)
    print(
        f"{len(variants)} variants, {len(pairs)} pairs of seed and fold: {n_trainings} trainings",
        flush=True,
    )
    for overrides in settings.values():
        call_command("make-folds", *experiment_arguments(args, overrides))
    _check_held_out_rows(RunFolder.of(experiment).path.parent, list(variants), pairs, run_name)
    for (_, seed), overrides in settings.items():
        options = experiment_arguments(args, overrides)
        for fold in [fold for other, fold in pairs if other == seed]:
            call_command("train", *options, "--fold", str(fold), "--resume")


def _settings(
    args: argparse.Namespace, experiment: Experiment, changes: list[str], seed: int, name: str
) -> list[str]:
    """All overrides of one variant and one seed."""
    for change in changes:
        if change.split("=")[0] in FIXED:
            raise InputError(f"{change} is not a variant's to set: a comparison sets it itself")
    split_seed = experiment.folds.seed if experiment.folds.seed is not None else experiment.seed
    rows = [f"data.rows={args.rows}"] if args.rows else []
    return [*args.set, *changes, f"seed={seed}", f"folds.seed={split_seed}", f"name={name}", *rows]


def _check_held_out_rows(
    outputs: Path, variants: list[str], pairs: Pairs, run_name: Callable[[str, int], str]
) -> None:
    """Refuse a variant that holds out other rows than the first: nothing would be paired."""
    import pandas as pd

    for seed in dict.fromkeys(seed for seed, _ in pairs):
        first, *others = (
            pd.read_parquet(RunFolder(outputs / run_name(variant, seed)).folds)
            for variant in variants
        )
        for variant, folds in zip(variants[1:], others, strict=True):
            for fold in [fold for other, fold in pairs if other == seed]:
                ours, theirs = (set(f.loc[f["fold"] == fold, "id"]) for f in (first, folds))
                if ours != theirs:
                    raise InputError(
                        f"variant {variant} holds out other rows in fold {fold} than "
                        f"{variants[0]} ({len(theirs):,} and {len(ours):,}): a comparison needs "
                        f"the same data and folds"
                    )
