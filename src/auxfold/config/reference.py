"""Writes the reference of the configuration and the JSON schema, both read off the schema.

``python -m auxfold.config.reference``, in the root of the repository.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from auxfold.config.json_schema import experiment_schema
from auxfold.config.keys import Key, SectionKeys, list_sections

PAGE = Path("docs/reference/configuration.md")
SCHEMA = Path("configs/experiment.schema.json")

_INTRODUCTION = """\
<!-- Written by `python -m auxfold.config.reference`; edit src/auxfold/config/ instead. -->

# Configuration

An experiment is one TOML file. This page has every key of every section. A key that is not in the
file has its default; a required key has none; *none* means that nothing is set. An unknown key, a
wrong type and a value out of range are errors that name the key.

- `auxfold config` prints this page in a terminal, `auxfold config train.warmup_ratio` explains one
  key, and `auxfold config train` a section.
- Every command takes `--set train.epochs=3`, also `--set tasks.<name>.weight=0.5` and
  `--set data.train.<name>.path=...`.
- The first line `#:schema ./experiment.schema.json` of the files in `configs/` lets editors with a
  TOML language server (Even Better TOML, taplo) complete and check the keys.
"""


def reference_page() -> str:
    """The page in MyST Markdown: one table per section."""
    return "\n".join([_INTRODUCTION, *map(_section_text, list_sections())])


def _section_text(section: SectionKeys) -> str:
    title = f"`{section.header}`" if section.header else "Top of the file"
    lines = [f"## {title}", "", section.description, ""]
    lines += ["| key | type | default | description |", "| --- | --- | --- | --- |"]
    lines += [_row(key) for key in section.keys]
    return "\n".join([*lines, ""])


def _row(key: Key) -> str:
    default = {"": "required", "none": "*none*"}.get(key.default, f"`{key.default}`")
    description = " ".join([key.description, *describe_readers(key)])
    return f"| `{key.name}` | {key.type} | {default} | {description} |".replace(
        "_ and -", "`_`, `-`"
    )


def describe_readers(key: Key) -> list[str]:
    """Sentences that say which kinds and which choices read a key; none where all do."""
    kinds = [f"For kind {_join_kinds(key.kinds)} only."] if key.kinds else []
    return kinds + ([f"Read by `{key.read_by}` only."] if key.read_by else [])


def _join_kinds(kinds: tuple[str, ...]) -> str:
    *most, last = [f"`{kind}`" for kind in kinds]
    return f"{', '.join(most)} or {last}" if most else last


def schema_text() -> str:
    """The JSON schema as it is stored."""
    return json.dumps(experiment_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write both files."""
    if not SCHEMA.parent.is_dir():
        sys.exit(f"there is no {SCHEMA.parent}/ here; run this in the root of the repository")
    for path, text in ((PAGE, reference_page()), (SCHEMA, schema_text())):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"written: {path}")


if __name__ == "__main__":
    main()
