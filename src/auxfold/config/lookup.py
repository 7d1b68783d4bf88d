"""Finds the keys that a dotted path, a section or a bare name refers to."""

from __future__ import annotations

from dataclasses import replace

from auxfold.config.keys import Key, SectionKeys, list_sections
from auxfold.config.renamed import RENAMED_KEYS, describe_renamed_key
from auxfold.errors import InputError, nearest


def find_keys(query: str) -> list[SectionKeys]:
    """The sections with the keys that ``query`` refers to; other keys are left out of them.

    Args:
        query: a section (``train``, ``[train]``), a section of one kind (``tasks.binary``), a key
            (``train.epochs``, ``tasks.pos_weight``, ``tasks.binary.pos_weight``, also with the name
            or number of a task or a source), or the name of a key in any section (``epochs``).

    Raises:
        InputError: there is no such key; the message has its new name where it was renamed, else
            the nearest one.
    """
    path = query.strip().strip("[]")
    sections = list_sections()
    matches = [match for section in sections if (match := _select(section, path))]
    if not matches and "." not in path:
        matches = [match for section in sections if (match := _with_keys_named(section, path))]
    if matches:
        return matches
    renamed = _describe_renamed(path, sections)
    if renamed:
        raise InputError(renamed)
    paths = [section.path for section in sections]
    names = [*filter(None, paths), *(key.path for section in sections for key in section.keys)]
    if "." not in path:
        names += [key.name for section in sections for key in section.keys]
    raise InputError(f"unknown key {path!r}{nearest(path, names)}; auxfold config lists all keys")


def _select(section: SectionKeys, path: str) -> SectionKeys | None:
    """The part of a section that a path refers to; None where it is none."""
    if section.path and f"{section.path}.".startswith(f"{path}."):
        return section
    prefix = f"{section.path}." if section.path else ""
    if not path.startswith(prefix):
        return None
    *middle, name = path.removeprefix(prefix).split(".")
    if not middle and name in section.kinds:
        return replace(section, keys=tuple(key for key in section.keys if _has_kind(key, name)))
    if len(middle) > 1 or (middle and not _is_entry(section, middle[0])):
        return None
    selected = _with_keys_named(section, name)
    if selected is None or not middle or middle[0] not in section.kinds:
        return selected
    keys = tuple(key for key in selected.keys if _has_kind(key, middle[0]))
    return replace(section, keys=keys) if keys else None


def _is_entry(section: SectionKeys, name: str) -> bool:
    """Whether a name can stand between a section and a key: a kind, or an entry of a list."""
    return name in section.kinds or section.header.startswith("[[")


def _has_kind(key: Key, kind: str) -> bool:
    return not key.kinds or kind in key.kinds


def _with_keys_named(section: SectionKeys, name: str) -> SectionKeys | None:
    keys = tuple(key for key in section.keys if key.name == name)
    return replace(section, keys=keys) if keys else None


def _describe_renamed(path: str, sections: list[SectionKeys]) -> str | None:
    first, *middle, last = path.split(".") if "." in path else ("", path)
    if not first:  # a bare name: the section or key that was called so
        paths = [old for old in RENAMED_KEYS if last in (old, old.rpartition(".")[2])]
        return describe_renamed_key(paths[0]) if paths else None
    is_list = any(section.path == first and section.header[:2] == "[[" for section in sections)
    return describe_renamed_key(f"{first}.{last}" if is_list and middle else path)
