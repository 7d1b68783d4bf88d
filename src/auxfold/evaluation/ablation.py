"""Does each auxiliary target help? Paired differences of the main metric, fold by fold.

A target is left out by giving it no weight, so that rows, folds, heads and their first values are
the same in every run, and what differs is its gradient alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.evaluation import comparison
from auxfold.storage.run_folder import OUTPUTS, FoldFolder, RunFolder
from auxfold.tasks import selection_metric

ALL, NONE = "all", "none"


def variants(experiment: Experiment, by_column: bool = False) -> dict[str, list[str]]:
    """What is trained: name to the ``key=value`` that leaves targets out; ``all`` leaves none.

    Args:
        experiment: with its auxiliary tasks.
        by_column: leave out columns of tasks rather than whole tasks.

    Raises:
        InputError: there is no auxiliary target.
    """
    others = [task for task in experiment.tasks if task.name != experiment.main_task.name]
    tasks = [task for task in others if task.weight]  # one without a weight is left out already
    if not tasks:
        raise InputError(f"{experiment.name} has no auxiliary task with a weight to leave out")
    made: dict[str, list[str]] = {ALL: []}
    for task in tasks:
        if by_column and len(task.columns) > 1:
            for place, column in enumerate(task.columns):
                weights = list(task.label_weights or [1.0] * len(task.columns))
                weights[place] = 0.0
                made[f"without_{column}"] = [f"tasks.{task.name}.label_weights={weights}"]
        else:
            made[f"without_{task.name}"] = [f"tasks.{task.name}.weight=0"]
    made[NONE] = [f"tasks.{task.name}.weight=0" for task in tasks]
    if len(made) == 3:  # one auxiliary task, or one column: without it is with none
        del made[list(made)[1]]
    return made


def run_name(experiment: str, variant: str, seed: int) -> str:
    """The experiment that one variant is trained as."""
    return comparison.run_name(experiment, "ablate", variant, seed)


def collect(
    experiment: Experiment, names: Iterable[str], pairs: list[tuple[int, int]]
) -> dict[str, Any]:
    """Main metric of every variant and pair of seed and fold, and differences to ``all``.

    Returns:
        ``metric``; ``pairs`` of seed and fold; ``scores``: variant to scores of the pairs;
        ``differences``: variant to ``mean``, ``low``, ``high`` (95 % bootstrap interval over the
        pairs) of what the left-out targets bring: above zero where they help, whichever way the
        metric goes.

    Raises:
        InputError: a fold's metric is undefined.
    """
    metric = selection_metric(experiment)

    def folder(variant: str, seed: int, fold: int) -> FoldFolder:
        return RunFolder(OUTPUTS / run_name(experiment.name, variant, seed)).fold(fold)

    told = comparison.collect(names, ALL, [metric], pairs, folder)["metrics"][metric]
    # A comparison tells what leaving out brings; what is asked here is what having it brings.
    brought = {
        variant: {"mean": -one["mean"], "low": -one["high"], "high": -one["low"]}
        for variant, one in told["differences"].items()
    }
    return {"metric": metric, "pairs": pairs, "scores": told["scores"], "differences": brought}


def ablation_table(record: dict[str, Any]) -> str:
    """The differences as plain text."""
    lines = [f"{'left out':34} {'gain':>8}  95 % interval      {record['metric']}, with {ALL} and"]
    for variant, told in record["differences"].items():
        mean, least = np.mean(record["scores"][ALL]), np.mean(record["scores"][variant])
        name = "every auxiliary target" if variant == NONE else variant.removeprefix("without_")
        lines.append(
            f"{name:34} {told['mean']:>+8.4f}  {told['low']:+.4f} to {told['high']:+.4f}  "
            f"{mean:.4f}, without {least:.4f}"
        )
    lines.append(f"{len(record['pairs'])} pairs of seed and fold; above zero: it helps")
    return "\n".join(lines)
