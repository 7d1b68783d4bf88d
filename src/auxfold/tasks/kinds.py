"""The kinds of tasks by their name in the experiment file."""

from __future__ import annotations

from auxfold.config import TaskSettings
from auxfold.tasks.binary import BinaryTask
from auxfold.tasks.multiclass import MulticlassTask
from auxfold.tasks.regression import RegressionTask
from auxfold.tasks.task import Task

KINDS: dict[str, type[Task]] = {
    kind.kind: kind for kind in (BinaryTask, MulticlassTask, RegressionTask)
}


def create_task(settings: TaskSettings) -> Task:
    """The task that one ``[[tasks]]`` section describes."""
    return KINDS[settings.kind](settings)
