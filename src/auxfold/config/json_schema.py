"""The JSON schema of experiment files, by which editors complete and check them."""

from __future__ import annotations

import re
from typing import Any

from auxfold.config.experiment import Experiment


def experiment_schema() -> dict[str, Any]:
    """The schema of an experiment file, with the description of every key.

    It is pydantic's, with what an editor shows made readable: no titles, no ``null`` (TOML has
    none), and markup as in Markdown.
    """
    schema = _clean(Experiment.model_json_schema())
    # data.group_sizes replaces [[tasks]].
    schema["required"].remove("tasks")
    schema["anyOf"] = [
        {"required": ["tasks"]},
        {"properties": {"data": {"type": "object", "required": ["group_sizes"]}}},
    ]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "auxfold experiment",
        **schema,
    }


def _clean(node: Any) -> Any:
    """A copy without titles, ``null`` alternatives and defaults, and OpenAPI's discriminators."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):  # here the keys are names, not keywords
            result[key] = {name: _clean(child) for name, child in value.items()}
        elif key == "anyOf":
            alternatives = [_clean(item) for item in value if item != {"type": "null"}]
            result |= {key: alternatives} if len(alternatives) > 1 else alternatives[0]
        elif key == "description":
            result[key] = _join_lines(value)
        elif key not in ("title", "discriminator") and not (key == "default" and value is None):
            result[key] = _clean(value)
    return result


def _join_lines(docstring: str) -> str:
    paragraphs = re.split(r"\n\s*\n", docstring.replace("``", "`").split("\nAttributes:")[0])
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
