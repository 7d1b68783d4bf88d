"""``[identities]``: what is known of the people that a row speaks about."""

from __future__ import annotations

from pydantic import model_validator

from auxfold.settings.section import Section


class Identities(Section):
    """``[identities]``: the columns by which the main task's bias is measured.

    Values in [0, 1], the share of annotators who saw the identity mentioned; an empty cell is
    "not annotated", never "not mentioned". Such a column may be a task's label column too.
    """

    columns: list[str] = []  # empty: no bias metrics

    @model_validator(mode="after")
    def _each_once(self) -> Identities:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns holds a name twice")
        return self
