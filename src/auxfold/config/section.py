"""What all sections of an experiment file share: strictness, and types of values."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
Name = Annotated[str, Field(pattern=NAME)]
PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """Base of all sections: unknown keys and silent casts are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def refuse_unread(section: Section, choice: str, read: dict[str, tuple[str, ...]]) -> None:
    """Refuse a key that the chosen value does not read, where it says something.

    Args:
        section: the section with the keys.
        choice: the key that chooses (``loss``, ``method``).
        read: each of its values to the keys that it reads; keys of no value are always read.

    Raises:
        ValueError: naming the key and the values that read it.
    """
    chosen = getattr(section, choice)
    for key in dict.fromkeys(key for keys in read.values() for key in keys):
        given = getattr(section, key) != type(section).model_fields[key].default
        if given and key not in read[chosen]:
            values = ", ".join(value for value, keys in read.items() if key in keys)
            raise ValueError(f"{key} is not read by {choice} = {chosen!r}, but by {values}")
