"""Variants of one experiment, compared fold by fold and seed by seed.

A difference is taken within a pair of seed and fold, so that what both runs share (the rows, how
hard the fold is, the heads' first values) does not count as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError, nearest
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import FoldFolder
from auxfold.tasks import all_metrics, make_tasks
from auxfold.tasks.metrics import higher_is_better

BASELINE = "as_it_stands"
DRAWS = 10_000


def run_name(experiment: str, what: str, variant: str, seed: int) -> str:
    """The experiment that one variant is trained as, for ``what`` (``compare``, ``ablate``)."""
    plain = "".join(c if c.isalnum() or c in "_-" else "_" for c in variant)
    return f"{experiment}_{what}_{plain}_s{seed}"


def check_metrics(experiment: Experiment, metrics: list[str]) -> None:
    """Refuse metrics that a fold's ``metrics.json`` would not have.

    Raises:
        InputError: an unknown one, with the nearest.
    """
    tasks = make_tasks(experiment)
    labels = np.empty((0, len(experiment.label_columns)))
    nothing = {task.name: np.empty((0, task.n_outputs)) for task in tasks}
    known = [*all_metrics(tasks, labels, nothing), *experiment.identities.metrics]
    for metric in metrics:
        if metric not in known:
            short = ", ".join(name for name in known if name.count("/") < 2)
            raise InputError(f"no metric {metric!r}{nearest(metric, known)}; {short}")


def collect(
    variants: Iterable[str],
    baseline: str,
    metrics: list[str],
    pairs: list[tuple[int, int]],
    folder: Callable[[str, int, int], FoldFolder],
) -> dict[str, Any]:
    """Scores of every variant and pair of seed and fold, and their differences to the baseline.

    Args:
        variants: names, the baseline among them.
        baseline: what the others are compared with.
        metrics: as in a fold's ``metrics.json``.
        pairs: seed and fold.
        folder: of a variant, a seed and a fold.

    Returns:
        ``baseline``, ``pairs`` and ``metrics``: metric to ``scores`` (variant to the pairs'
        scores) and ``differences`` (variant to ``mean``, ``low`` and ``high``, the 95 % bootstrap
        interval over the pairs; above zero where the variant is better, whichever way the metric
        goes).

    Raises:
        InputError: a metric is unknown or undefined in a fold.
    """
    told = {}
    for metric in metrics:
        scores = {v: [_score(folder(v, *pair), metric) for pair in pairs] for v in variants}
        sign = 1 if higher_is_better(metric) else -1
        gains = {
            variant: sign * (np.array(values) - np.array(scores[baseline]))
            for variant, values in scores.items()
            if variant != baseline
        }
        told[metric] = {"scores": scores, "differences": {v: paired(g) for v, g in gains.items()}}
    return {"baseline": baseline, "pairs": pairs, "metrics": told}


def paired(gains: np.ndarray) -> dict[str, float]:
    """Mean of paired differences ``(pairs,)`` with its 95 % bootstrap interval."""
    low, high = interval(gains)
    return {"mean": float(gains.mean()), "low": low, "high": high}


def interval(gains: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of paired differences ``(pairs,)``."""
    random = np.random.default_rng(seed)
    means = gains[random.integers(len(gains), size=(DRAWS, len(gains)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def comparison_table(record: dict[str, Any]) -> str:
    """Per metric the mean score of every variant and its difference to the baseline, as text."""
    baseline, count = record["baseline"], len(record["pairs"])
    names = {name for told in record["metrics"].values() for name in told["scores"]}
    width = max(map(len, [*names, *record["metrics"]]))
    lines = []
    for metric, told in record["metrics"].items():
        lines += [f"{metric:{width}}     mean  difference  95 % interval"]
        for name, scores in told["scores"].items():
            line = f"{name:{width}}  {np.mean(scores):7.4f}"
            if name != baseline:
                one = told["differences"][name]
                line += f"     {one['mean']:+.4f}  {one['low']:+.4f} to {one['high']:+.4f}"
            lines.append(line)
        lines.append("")
    against = f"against {baseline} on the same rows: above zero is better"
    return "\n".join([*lines, f"{count} pairs of seed and fold, each {against}"])


def _score(folder: FoldFolder, metric: str) -> float:
    scores = read_json(folder.metrics)
    if metric not in scores:
        raise InputError(f"{folder.metrics} has no metric {metric!r}{nearest(metric, scores)}")
    if scores[metric] is None:
        raise InputError(f"{folder.metrics}: {metric} is undefined, nothing to compare")
    return float(scores[metric])
