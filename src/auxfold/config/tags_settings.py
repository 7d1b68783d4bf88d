"""``[[tasks]]`` of kind ``tags``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from auxfold.config.binary_settings import ProbabilitySettings
from auxfold.config.task_settings import KIND_DESCRIPTION, TaskSettings

LEARNED_KEYS = ("tags", "cell_format", "separator")  # what make_folds learns where it is not set


class TagsSettings(ProbabilitySettings):
    """One probability per tag; the cells of one column hold any number of tags each."""

    kind: Literal["tags"] = Field(description=KIND_DESCRIPTION)
    tags: (
        Annotated[list[str], Field(min_length=1)] | Annotated[list[int], Field(min_length=1)] | None
    ) = Field(
        None,
        description="The tags, in the order of the predicted columns `<column>_<tag>`. Without "
        "them, `make_folds` takes all tags of the training table, in alphabetical or numerical "
        "order, and stores them with the folds.",
    )
    cell_format: Literal["separated", "json", "python"] | None = Field(
        None,
        description='How a cell holds its tags: `"separated"` (`a;b`), `"json"` (`["a", "b"]`, and '
        "the lists of jsonl and parquet files) or `\"python\"` (`['a', 'b']`). Without it, "
        "`make_folds` detects it.",
    )
    separator: str | None = Field(
        None,
        description='What separates the tags of a cell, e.g. `";"`. Empty: a cell is one tag. '
        "Without it, `make_folds` detects semicolons, vertical bars and commas, and refuses cells "
        "that can be read in two ways.",
    )
    min_count: Annotated[int, Field(ge=1)] = Field(
        1, description="Tags in fewer rows of the training table are left out."
    )
    unseen: Literal["error", "ignore"] = Field(
        "error",
        description='What happens to a tag that is not among `tags`. `"error"`: the file is '
        'refused. `"ignore"`: it is left out and counted.',
    )
    empty: Literal["unlabeled", "no_tags"] = Field(
        "unlabeled",
        description='What an empty cell means. `"unlabeled"`: the row counts in no loss and no '
        'metric. `"no_tags"`: the row has none of the tags, as a cell `[]` always means.',
    )

    @property
    def tag_names(self) -> list[str]:
        """The tags as text; none while they are not known."""
        return [str(tag) for tag in self.tags or ()]

    @property
    def is_resolved(self) -> bool:
        """Whether everything that can be learned from the training table is known."""
        has_format = self.separator is not None or self.cell_format in ("json", "python")
        return self.tags is not None and self.cell_format is not None and has_format

    @property
    def label_columns(self) -> list[str]:
        """A column per tag, ``<column>_<tag>``."""
        return [f"{self.columns[0]}_{name}" for name in self.tag_names]

    @model_validator(mode="before")
    @classmethod
    def _lists_of_weights_need_tags(cls, raw: object) -> object:
        if isinstance(raw, dict) and raw.get("tags") is None:
            for key in ("label_weights", "pos_weight"):
                if isinstance(raw.get(key), list):
                    raise ValueError(f"{key} has a number per tag; list the tags, too")
        return raw

    @model_validator(mode="after")
    def _one_column_of_distinct_tags(self) -> TagsSettings:
        if len(self.columns) != 1:
            raise ValueError("a task of tags has one column; make a task of each")
        names = self.tag_names
        if len(set(names)) != len(names) or any(name != name.strip() for name in names):
            raise ValueError("tags holds a name twice, or one with white space around it")
        if "" in names:
            raise ValueError("tags holds an empty name")
        if self.separator is not None and self.cell_format in ("json", "python"):
            raise ValueError(f"separator is not read by cell_format = {self.cell_format!r}")
        return self


def fill_learned_keys(task: TagsSettings, learned: TaskSettings) -> TagsSettings:
    """The task with what it leaves unset from the same task as ``make_folds`` completed it."""
    if not isinstance(learned, TagsSettings) or learned.columns != task.columns:
        return task
    if task.cell_format not in (None, learned.cell_format):
        return task
    unset = [key for key in LEARNED_KEYS if getattr(task, key) is None]
    return task.model_copy(update={key: getattr(learned, key) for key in unset})
