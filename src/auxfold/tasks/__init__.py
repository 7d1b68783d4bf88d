"""Tasks: what every kind of prediction provides to the rest of the package.

A :class:`Task` is one head of the model: the label columns it reads, its loss, its activation and
its metrics. Each kind is one file with one subclass: :mod:`~auxfold.tasks.binary`,
:mod:`~auxfold.tasks.multiclass` and :mod:`~auxfold.tasks.regression`. A :class:`TaskSet` holds the
tasks of an experiment; a command builds it once and passes it down. Losses by name
are in :mod:`auxfold.tasks.losses`, metrics by name in :mod:`auxfold.tasks.metrics`.
"""

from auxfold.tasks.kinds import KINDS, create_task
from auxfold.tasks.task import Task
from auxfold.tasks.task_set import TaskSet

__all__ = ["KINDS", "Task", "TaskSet", "create_task"]
