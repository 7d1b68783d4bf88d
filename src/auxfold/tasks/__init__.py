"""Tasks: what every kind of prediction provides to the rest of the package.

A :class:`Task` is one head of the model: the label columns it reads, its loss, its activation and
its metrics. Each kind is one file with one subclass: :mod:`~auxfold.tasks.binary`,
:mod:`~auxfold.tasks.multiclass` and :mod:`~auxfold.tasks.regression`. A :class:`TaskSet` holds the
tasks of an experiment; a command builds it once and passes it down. Losses by name
are in :mod:`auxfold.tasks.losses`, metrics by name in :mod:`auxfold.tasks.metrics`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auxfold.tasks.kinds import KINDS, create_task
    from auxfold.tasks.task import Task
    from auxfold.tasks.task_set import TaskSet

__all__ = ["KINDS", "Task", "TaskSet", "create_task"]

_MODULES = {"KINDS": "kinds", "Task": "task", "TaskSet": "task_set", "create_task": "kinds"}


def __getattr__(name: str) -> Any:
    """Import on first use: tasks need torch, and their metrics are known without it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
