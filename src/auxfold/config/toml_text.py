"""Plain dictionaries as TOML, which the standard library reads but does not write."""

from __future__ import annotations

import json
import re
from typing import Any


def toml_text(content: dict[str, Any]) -> str:
    """The TOML that reads back to ``content``: strings, numbers, booleans, flat lists, tables."""
    return "\n".join(_table("", content)).strip() + "\n"


def toml_value(value: Any) -> str:
    """A string, number, boolean or flat list of them as TOML."""
    # JSON's strings, numbers, booleans and flat lists are TOML's, except for the DEL character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(path: str, content: dict[str, Any]) -> list[str]:
    """The lines of a table: first its own keys, then the tables and lists of tables in it."""
    inner = {k: v for k, v in content.items() if _is_table(v)}
    lines = [f"{_key(k)} = {toml_value(v)}" for k, v in content.items() if k not in inner]
    for key, value in inner.items():
        name = f"{path}.{key}" if path else key
        is_list = isinstance(value, list)
        for entry in value if is_list else [value]:
            lines += ["", f"[[{name}]]" if is_list else f"[{name}]", *_table(name, entry)]
    return lines


def _is_table(value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    return bool(entries) and isinstance(entries[0], dict)


def _key(name: str) -> str:
    """A bare key, or a quoted one: a column's name may hold anything."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_value(name)
