"""Which metrics an experiment has, known before anything that is slow to import."""

from __future__ import annotations

from auxfold.config import TaskSettings
from auxfold.config.experiment import Experiment
from auxfold.errors import InputError, nearest
from auxfold.tasks.metrics.registry import ALIASES, METRICS, select_metrics


def list_metrics(experiment: Experiment) -> list[str]:
    """The names of all metrics, as ``TaskSet.compute_metrics`` and the bias metric give them."""
    names = [name for task in experiment.tasks for name in _task_metrics(task)]
    averaged = [task for task in experiment.tasks if task.kind == "multiclass"]
    if len(averaged) > 1:
        common = [select_metrics(METRICS["multiclass"], task) for task in averaged]
        of_all = [name for name in common[0] if all(name in metrics for metrics in common)]
        names += [f"{name}{suffix}" for name in of_all for suffix in ("", "_std")]
    return [*names, *experiment.identities.metrics]


def check_metric(metric: str, experiment: Experiment, where: str = "selection.metric") -> None:
    """Refuse a metric that the experiment does not have.

    Args:
        metric: its name.
        experiment: names the tasks and the identities.
        where: the key or option that names the metric, for the message.

    Raises:
        InputError: there is no such metric.
    """
    known = list_metrics(experiment)
    if metric not in known:
        shown = ", ".join(name for name in known if name.count("/") == 1)
        raise InputError(f"{where} = {metric!r} is unknown{nearest(metric, known)}; known: {shown}")


def _task_metrics(task: TaskSettings) -> list[str]:
    names = list(select_metrics(METRICS[task.kind], task))
    if len(task.targets) == 1:
        return [f"{task.name}/{name}" for name in names]
    single = [f"{task.name}/{name}/{column}" for name in names for column in task.targets]
    aliases = [alias for alias, name in ALIASES.items() if name in names]
    return [f"{task.name}/{name}" for name in (*names, *aliases)] + single
