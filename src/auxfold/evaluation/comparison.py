"""Variants of one experiment, compared fold by fold and seed by seed.

A difference is taken within a pair of seed and fold. What both runs share (the rows, how hard the
fold is, the first values of the heads) therefore does not count as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auxfold.errors import InputError, nearest
from auxfold.storage.checksums import read_json_checked
from auxfold.storage.run_folder import OUTPUTS, FoldFolder, RunFolder
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import higher_is_better

N_BOOTSTRAP = 10_000


@dataclass(frozen=True)
class VariantRuns:
    """The runs that the variants of an experiment are trained as.

    Attributes:
        experiment: the name of the experiment.
        command: what trains them, ``compare`` or ``ablate``.
        outputs: the folder of all runs.
    """

    experiment: str
    command: str
    outputs: Path = OUTPUTS

    def name(self, variant: str, seed: int) -> str:
        """The experiment name of a variant and a seed; special characters become ``_``."""
        safe_variant = "".join(c if c.isalnum() or c in "_-" else "_" for c in variant)
        return f"{self.experiment}_{self.command}_{safe_variant}_s{seed}"

    def fold(self, variant: str, seed: int, fold: int) -> FoldFolder:
        """The folder of one trained fold."""
        return RunFolder(self.outputs / self.name(variant, seed)).fold(fold)


def check_metrics(metrics: list[str], tasks: TaskSet, bias_metrics: Iterable[str] = ()) -> None:
    """Refuse metrics that a fold's ``metrics.json`` would not have.

    Args:
        metrics: the metrics to compare.
        tasks: all tasks of the experiment.
        bias_metrics: the metrics of its ``[identities]``.

    Raises:
        InputError: an unknown metric, with the nearest known one.
    """
    n_columns = sum(len(task.settings.label_columns) for task in tasks)
    no_predictions = {task.name: np.empty((0, task.n_outputs)) for task in tasks}
    known = [*tasks.compute_metrics(np.empty((0, n_columns)), no_predictions), *bias_metrics]
    for metric in metrics:
        if metric not in known:
            short = ", ".join(name for name in known if name.count("/") < 2)
            raise InputError(f"no metric {metric!r}{nearest(metric, known)}; {short}")


def collect_comparison(
    variants: Iterable[str],
    baseline: str,
    metrics: list[str],
    pairs: list[tuple[int, int]],
    fold_folder: Callable[[str, int, int], FoldFolder],
) -> dict[str, Any]:
    """Scores of every variant and pair of seed and fold, and their differences to the baseline.

    Args:
        variants: their names, including the baseline.
        baseline: the variant that the others are compared with.
        metrics: names as in a fold's ``metrics.json``.
        pairs: of seed and fold.
        fold_folder: returns the folder of a variant, a seed and a fold.

    Returns:
        ``baseline``, ``pairs`` and ``metrics``: metric to ``scores`` (variant to the scores of the
        pairs) and ``differences`` (variant to ``mean``, ``low`` and ``high``, the 95 % bootstrap
        interval over the pairs; above zero where the variant is better, whichever way the metric
        goes).

    Raises:
        InputError: a metric is unknown or undefined in a fold.
    """
    record = {}
    for metric in metrics:
        scores = {
            v: [_read_score(fold_folder(v, *pair), metric) for pair in pairs] for v in variants
        }
        sign = 1 if higher_is_better(metric) else -1
        gains = {
            variant: sign * (np.array(values) - np.array(scores[baseline]))
            for variant, values in scores.items()
            if variant != baseline
        }
        differences = {variant: summarize_gains(values) for variant, values in gains.items()}
        record[metric] = {"scores": scores, "differences": differences}
    return {"baseline": baseline, "pairs": pairs, "metrics": record}


def summarize_gains(gains: np.ndarray) -> dict[str, float]:
    """The mean of paired differences ``(pairs,)`` with its 95 % bootstrap interval."""
    low, high = bootstrap_interval(gains)
    return {"mean": float(gains.mean()), "low": low, "high": high}


def bootstrap_interval(gains: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of paired differences ``(pairs,)``."""
    random = np.random.default_rng(seed)
    means = gains[random.integers(len(gains), size=(N_BOOTSTRAP, len(gains)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def format_comparison(record: dict[str, Any]) -> str:
    """The mean score of every variant and its difference to the baseline, metric by metric.

    Args:
        record: from :func:`collect_comparison`; ``labels`` may hold another name to print for a
            variant, and ``conclusion`` may say what a difference above zero means.
    """
    baseline, labels = record["baseline"], record.get("labels", {})
    names = {labels.get(v, v) for m in record["metrics"].values() for v in m["scores"]}
    width = max(map(len, [*names, *record["metrics"]]))
    lines = []
    for metric, results in record["metrics"].items():
        lines += [f"{metric:{width}}     mean  difference  95 % interval"]
        for variant, scores in results["scores"].items():
            line = f"{labels.get(variant, variant):{width}}  {np.mean(scores):7.4f}"
            if variant != baseline:
                difference = results["differences"][variant]
                line += f"     {difference['mean']:+.4f}"
                line += f"  {difference['low']:+.4f} to {difference['high']:+.4f}"
            lines.append(line)
        lines.append("")
    n_pairs, conclusion = len(record["pairs"]), record.get("conclusion", "above zero is better")
    against = f"against {baseline} on the same rows: {conclusion}"
    return "\n".join([*lines, f"{n_pairs} pairs of seed and fold, each {against}"])


def _read_score(folder: FoldFolder, metric: str) -> float:
    scores = read_json_checked(folder.metrics)
    if metric not in scores:
        raise InputError(f"{folder.metrics} has no metric {metric!r}{nearest(metric, scores)}")
    if scores[metric] is None:
        raise InputError(f"{folder.metrics}: {metric} is undefined, nothing to compare")
    return float(scores[metric])
