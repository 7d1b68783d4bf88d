"""What all sections of an experiment file share: strictness, and types of values."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
Name = Annotated[str, Field(pattern=NAME)]
PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """Base of all sections: unknown keys and silent casts are refused.

    Every field has a description, which is the documentation of its key: ``auxfold config``, the
    reference page and the JSON schema print it.

    Attributes:
        READ_BY: keys that only some values of another key read. ``{"loss": {"focal":
            ("focal_gamma",), "bce": ()}}`` says that ``focal_gamma`` is read by ``loss = "focal"``
            only. A key that is not listed is always read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    READ_BY: ClassVar[dict[str, dict[str, tuple[str, ...]]]] = {}

    @model_validator(mode="after")
    def _refuse_unread_keys(self) -> Self:
        """Refuse a key that differs from its default where nothing reads it."""
        for choice, keys_by_value in self.READ_BY.items():
            chosen = getattr(self, choice)
            for key in dict.fromkeys(key for keys in keys_by_value.values() for key in keys):
                is_set = getattr(self, key) != type(self).model_fields[key].default
                if is_set and key not in keys_by_value[chosen]:
                    values = ", ".join(v for v, keys in keys_by_value.items() if key in keys)
                    raise ValueError(f"{key} is not read by {choice} = {chosen!r}, but by {values}")
        return self
