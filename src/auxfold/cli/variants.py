"""Variants of an experiment, trained by the scripts on the same held-out rows, seed by seed."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from auxfold.cli.options import parse_folds, wait_for
from auxfold.config.experiment import Experiment, load_experiment
from auxfold.errors import InputError
from auxfold.storage.run_folder import FULL, RunFolder

FIXED = ("name", "seed", "folds.seed", "data.rows")  # what a comparison sets itself
Pairs = list[tuple[int, int]]


def add_pairs(parser: argparse.ArgumentParser) -> None:
    """``--seeds`` and ``--folds`` of commands that train several variants."""
    parser.add_argument("--seeds", help="e.g. 42,1,2 (default: the experiment's)")
    parser.add_argument("--folds", help="e.g. 0,1 (default: all)")


def pairs_from(given: argparse.Namespace, experiment: Experiment) -> Pairs:
    """The pairs of seed and fold of ``--seeds`` and ``--folds``, each once."""
    folds = parse_folds(given.folds) or list(experiment.folds.names)
    if FULL in folds:
        raise InputError("--folds full: without held-out rows there is nothing to compare")
    unknown = [fold for fold in folds if fold not in experiment.folds.names]
    if unknown:
        raise InputError(
            f"--folds {unknown[0]}: there are {', '.join(map(str, experiment.folds.names))}"
        )
    seeds = parse_seeds(given.seeds) or [experiment.seed]
    return list(dict.fromkeys((seed, fold) for seed in seeds for fold in folds))


def parse_seeds(text: str | None) -> list[int]:
    """``"42,1"`` to ``[42, 1]``."""
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--seeds {text}: numbers separated by commas")
    return [int(part) for part in parts]


def train_variants(
    given: argparse.Namespace,
    experiment: Experiment,
    variants: dict[str, list[str]],
    pairs: Pairs,
    name_of: Callable[[str, int], str],
) -> None:
    """Train every variant on every pair of seed and fold; what is finished is kept.

    Rows are divided by the experiment's own seed throughout (with ``--rows`` another seed draws
    other rows). Each training is a process of its own: the scripts beside the one that runs.

    Args:
        given: the command's ``--config``, ``--set`` and ``--rows``.
        experiment: which they name.
        variants: name to the ``key=value`` that make it; the first is what the others are compared
            with.
        pairs: seed and fold.
        name_of: the experiment's name of a variant and a seed.

    Raises:
        InputError: before any training, where settings cannot be, two variants would have one
            name, or a variant holds out other rows.
    """
    settings = {
        (variant, seed): _settings(given, experiment, changes, seed, name_of(variant, seed))
        for seed in dict.fromkeys(seed for seed, _ in pairs)
        for variant, changes in variants.items()
    }
    names = [load_experiment(given.config, told).name for told in settings.values()]
    if len(set(names)) < len(names):
        raise InputError(f"two variants would be trained as one: {', '.join(variants)}")
    print(f"{len(variants)} variants, {len(pairs)} pairs of seed and fold: "
          f"{len(variants) * len(pairs)} trainings", flush=True)  # fmt: skip
    for told in settings.values():
        _script("make_folds", given.config, told)
    _check_rows(RunFolder.of(experiment).path.parent, list(variants), pairs, name_of)
    for (_, seed), told in settings.items():
        for fold in [fold for other, fold in pairs if other == seed]:
            _script("train", given.config, told, "--fold", str(fold), "--resume")


def _settings(
    given: argparse.Namespace, experiment: Experiment, changes: list[str], seed: int, name: str
) -> list[str]:
    for change in changes:
        if change.split("=")[0] in FIXED:
            raise InputError(f"{change} is not a variant's to set: a comparison does it itself")
    split = experiment.folds.seed if experiment.folds.seed is not None else experiment.seed
    told = [*given.set, *changes, f"seed={seed}", f"folds.seed={split}", f"name={name}"]
    return told + ([f"data.rows={given.rows}"] if given.rows else [])


def _check_rows(
    outputs: Path, variants: list[str], pairs: Pairs, name_of: Callable[[str, int], str]
) -> None:
    """Refuse a variant that holds out other rows than the first: nothing would be paired."""
    for seed in dict.fromkeys(seed for seed, _ in pairs):
        first, *others = (
            pd.read_parquet(RunFolder(outputs / name_of(variant, seed)).folds)
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


def _script(name: str, config: str, settings: list[str], *options: str) -> None:
    scripts = Path(sys.argv[0]).resolve().parent
    common = ["--config", config, *(part for setting in settings for part in ("--set", setting))]
    command = [sys.executable, str(scripts / f"{name}.py"), *common, *options]
    if code := wait_for(subprocess.Popen(command)):
        sys.exit(code)
