"""The variants of an ablation, one without each auxiliary target.

An ablation is a comparison (:mod:`auxfold.evaluation.comparison`) of the experiment with variants
that leave out auxiliary targets. A target is left out by a weight of zero. Rows, folds, heads and
their first values are then the same in every run, and only the gradient of the target is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.evaluation.comparison import collect_comparison
from auxfold.storage.checksums import read_json_checked
from auxfold.storage.run_folder import FoldFolder

ALL, NONE = "all", "none"


def ablation_variants(experiment: Experiment, by_column: bool = False) -> dict[str, list[str]]:
    """The variants: name to the ``key=value`` that leave out targets; ``all`` leaves out none.

    Args:
        experiment: with its auxiliary tasks.
        by_column: leave out columns of tasks rather than whole tasks.

    Raises:
        InputError: there is no auxiliary target.
    """
    auxiliary = [task for task in experiment.tasks if task.name != experiment.main_task.name]
    tasks = [task for task in auxiliary if task.weight]  # a task without weight is out already
    if not tasks:
        raise InputError(f"{experiment.name} has no auxiliary task with a weight to leave out")
    variants: dict[str, list[str]] = {ALL: []}
    for task in tasks:
        if by_column and min(len(task.columns), len(task.targets)) > 1:
            for position, column in enumerate(task.targets):
                weights = list(task.label_weights or [1.0] * len(task.targets))
                weights[position] = 0.0
                variants[f"without_{column}"] = [f"tasks.{task.name}.label_weights={weights}"]
        else:
            variants[f"without_{task.name}"] = [f"tasks.{task.name}.weight=0"]
    variants[NONE] = [f"tasks.{task.name}.weight=0" for task in tasks]
    if len(variants) == 3:  # with one auxiliary task or column, "without it" is "none"
        del variants[list(variants)[1]]
    return variants


def collect_ablation(
    variants: Iterable[str],
    metric: str,
    pairs: list[tuple[int, int]],
    fold_folder: Callable[[str, int, int], FoldFolder],
) -> dict[str, Any]:
    """What each auxiliary target contributes to the main metric.

    Args:
        variants: the names of :func:`ablation_variants`.
        metric: the metric of the main task.
        pairs: of seed and fold.
        fold_folder: returns the folder of a variant, a seed and a fold.

    Returns:
        The record of ``collect_comparison`` with ``all`` as its baseline, but with differences in
        the other direction: above zero where the left-out targets help, whichever way the metric
        goes. ``labels``, ``title`` and ``conclusion`` say so in words.

    Raises:
        InputError: the metric is undefined in a fold.
    """
    record = collect_comparison(variants, ALL, [metric], pairs, fold_folder)
    results = record["metrics"][metric]
    results["differences"] = {
        variant: {"mean": -gain["mean"], "low": -gain["high"], "high": -gain["low"]}
        for variant, gain in results["differences"].items()
    }
    return _add_wording(record)


def read_ablation(path: Path) -> dict[str, Any]:
    """An ``ablation.json``, of version 0.1 too, in which the only metric was not a dictionary."""
    record: dict[str, Any] = read_json_checked(path)
    if "metrics" in record:
        return record
    results = {"scores": record["scores"], "differences": record["differences"]}
    metrics = {record["metric"]: results}
    return _add_wording({"baseline": ALL, "pairs": record["pairs"], "metrics": metrics})


def _add_wording(record: dict[str, Any]) -> dict[str, Any]:
    variants = [v for results in record["metrics"].values() for v in results["scores"] if v != ALL]
    return record | {
        "title": "What each auxiliary target contributes",
        "labels": {variant: _label(variant) for variant in variants},
        "conclusion": "above zero, what was left out helps",
    }


def _label(variant: str) -> str:
    if variant == NONE:
        return "without every auxiliary target"
    return f"without {variant.removeprefix('without_')}"
