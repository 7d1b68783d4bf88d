"""The names of all metrics of an experiment, known from its settings alone, without torch."""

from __future__ import annotations

from auxfold.config.experiment import Experiment
from auxfold.config.task_settings import TaskSettings
from auxfold.errors import InputError, nearest
from auxfold.tasks.metrics.registry import ALIASES, METRICS, select_metrics

MEAN_KIND = "multiclass"  # whose tasks also have the means of their metrics over the tasks


def list_metrics(experiment: Experiment) -> list[str]:
    """``<task>/<metric>[/<column>]``, means over tasks, and the bias by identity."""
    names: list[str] = []
    for task in experiment.tasks:
        names += [f"{task.name}/{name}" for name in _metrics_of_task(task)]
    averaged = [_metrics_of_kind(task) for task in experiment.tasks if task.kind == MEAN_KIND]
    if len(averaged) > 1:
        for name in averaged[0]:
            if all(name in metrics for metrics in averaged):
                names += [name, f"{name}_std"]
    return names + experiment.identities.metrics


def check_selection_metric_name(experiment: Experiment) -> None:
    """Refuse a selection metric that the experiment does not have.

    Raises:
        InputError: with the nearest name.
    """
    metric, known = experiment.selection.metric, list_metrics(experiment)
    if metric is None or metric in known:
        return
    of_no_column = ", ".join(name for name in known if name.count("/") < 2)
    raise InputError(
        f"selection.metric = {metric!r} is unknown{nearest(metric, known)}; known: {of_no_column}"
    )


def _metrics_of_kind(settings: TaskSettings) -> list[str]:
    return list(select_metrics(METRICS[settings.kind], settings))


def _metrics_of_task(settings: TaskSettings) -> list[str]:
    names, columns = _metrics_of_kind(settings), settings.targets
    if len(columns) < 2:
        return names
    single = [f"{name}/{column}" for name in names for column in columns]
    aliases = [alias for alias, name in ALIASES.items() if name in names]
    return [*names, *aliases, *single]
