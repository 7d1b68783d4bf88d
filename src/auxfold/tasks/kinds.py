"""The kinds of tasks by their name in the experiment file."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from auxfold.config import AnyTask, TaskSettings
from auxfold.tasks.binary import BinaryTask
from auxfold.tasks.multiclass import MulticlassTask
from auxfold.tasks.ordinal import OrdinalTask
from auxfold.tasks.regression import RegressionTask
from auxfold.tasks.tags import TagsTask
from auxfold.tasks.task import Task

KINDS: dict[str, type[Task]] = {
    kind.kind: kind for kind in (BinaryTask, TagsTask, MulticlassTask, OrdinalTask, RegressionTask)
}


def create_task(settings: TaskSettings) -> Task:
    """The task that one ``[[tasks]]`` section describes."""
    return KINDS[settings.kind](settings)


def task_to_record(task: Task) -> dict[str, Any]:
    """A fitted task as JSON can hold it: its settings, and what it has learned."""
    settings = task.settings.model_dump(mode="json", exclude_none=True)
    return {"settings": settings, "state": task.state_dict()}


def task_from_record(record: dict[str, Any]) -> Task:
    """The fitted task that :func:`task_to_record` stored."""
    settings: TaskSettings = TypeAdapter(AnyTask).validate_python(record["settings"])
    return create_task(settings).load_state_dict(record["state"])
