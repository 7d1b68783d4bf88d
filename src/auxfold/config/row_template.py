"""``data.template``: text with the names of columns in braces, such as ``"Rule: {rule}"``."""

from __future__ import annotations

from string import Formatter
from typing import NamedTuple

CHAT = "chat"  # the value of data.template that takes the tokenizer's chat template


class TemplatePart(NamedTuple):
    """Some literal text and the field that follows it; None at the end of a template."""

    literal: str
    field: str | None


def parse_template(template: str) -> list[TemplatePart]:
    """The parts of a template in their order, ``{{`` and ``}}`` as single braces.

    Raises:
        ValueError: a brace without its counterpart, a field without a name, or with a format.
    """
    advice = "a field is the name of a column in braces, and {{ or }} is a brace itself"
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{error}; {advice}") from None
    for _, field, format_spec, conversion in parts:
        if field == "" or format_spec or conversion:
            raise ValueError(f"{{{field}}} is not a column's name without a format; {advice}")
    return [TemplatePart(literal, field) for literal, field, _, _ in parts]


def template_fields(*templates: str) -> list[str]:
    """The fields of templates, each of them once, in the order in which they first appear.

    Raises:
        ValueError: as :func:`parse_template`.
    """
    parts = [part for template in templates for part in parse_template(template)]
    return list(dict.fromkeys(part.field for part in parts if part.field is not None))
