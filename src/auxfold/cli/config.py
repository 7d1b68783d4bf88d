"""Explain the keys of an experiment file: type, default, allowed values and what each one does."""

from __future__ import annotations

import argparse
import shutil
import textwrap

from auxfold.cli.options import make_parser
from auxfold.config.keys import Key, SectionKeys, list_sections
from auxfold.config.lookup import find_keys

EXAMPLES = """\
  auxfold config                         # every key, section by section
  auxfold config train                   # a section
  auxfold config train.warmup_ratio      # a key
  auxfold config tasks.binary            # the keys of one kind of task
  auxfold config model.adapter.rank
"""
MAX_WIDTH = 100


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    sections = find_keys(args.key) if args.key else list_sections()
    print("\n\n".join(describe_section(section, args.key or "") for section in sections))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("config", __doc__, EXAMPLES)
    parser.add_argument(
        "key",
        nargs="?",
        metavar="KEY",
        help="a dotted key, a section, or the name of a key in any section (default: all keys)",
    )
    return parser.parse_args(argv)


def describe_section(section: SectionKeys, query: str = "") -> str:
    """A section with its keys, or the keys alone where ``query`` is the path of one."""
    if {key.name for key in section.keys} == {query.rpartition(".")[2]}:
        return "\n\n".join(_describe_key(key, section) for key in section.keys)
    title = f"{section.header}  {section.description}".strip()
    return "\n".join([_wrap(title, ""), "", *(_summarize_key(key) for key in section.keys)])


def _describe_key(key: Key, section: SectionKeys) -> str:
    facts = {
        "type": key.type,
        "default": {"": "none, the key is required", "none": "not set"}.get(
            key.default, key.default
        ),
        "kind": ", ".join(key.kinds or section.kinds),
        "read by": key.read_by,
    }
    lines = [f"  {name:9} {text}" for name, text in facts.items() if text]
    return "\n".join([key.path, *lines, _wrap(key.description, "  ")])


def _summarize_key(key: Key) -> str:
    title = f"{key.name} = {key.default}" if key.default not in ("", "none") else key.name
    state = {"": ", required", "none": ", not set by default"}.get(key.default, "")
    kinds = f"; kind {', '.join(key.kinds)}" if key.kinds else ""
    read_by = f"; read by {key.read_by}" if key.read_by else ""
    head = f"{title}  ({key.type}{state}{kinds}{read_by})"
    return f"{_wrap(head, '  ')}\n{_wrap(key.description, '      ')}"


def _wrap(text: str, indent: str) -> str:
    width = min(shutil.get_terminal_size((MAX_WIDTH, 24)).columns, MAX_WIDTH)
    return textwrap.fill(
        text,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
