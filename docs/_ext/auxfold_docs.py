"""What the pages take from the code itself: commands with their options, metrics by name."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import ClassVar
from unittest.mock import patch

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx


class _ParserReady(Exception):
    """A command is about to parse its arguments; carries the finished parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def load_parser(module: str, program: str) -> argparse.ArgumentParser:
    """The argument parser of a command, as its ``main`` builds it.

    Args:
        module: the command's module, with a function ``main``.
        program: what the usage line calls the command.

    Raises:
        RuntimeError: ``main`` parsed no arguments.
    """

    def stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _ParserReady(parser)

    main = import_module(module).main
    arguments = [[]] if inspect.signature(main).parameters else []
    script = program.split("/")[-1]  # the examples are shown as this script is called
    with (
        patch.object(argparse.ArgumentParser, "parse_args", stop),
        patch.object(argparse.ArgumentParser, "parse_known_args", stop),
        patch.object(sys, "argv", [script]),
    ):
        try:
            main(*arguments)
        except _ParserReady as ready:
            ready.parser.prog = program
            return ready.parser
    raise RuntimeError(f"{module}.main parsed no arguments")


class CommandDirective(Directive):
    """``{command} train``: what a command does, its usage, its options and its examples."""

    required_arguments = 1
    option_spec: ClassVar = {"module": directives.unchanged, "program": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Render the command's parser."""
        name = self.arguments[0]
        stem = name.replace("-", "_")
        program = self.options.get("program", f"python scripts/{stem}.py")
        try:
            parser = load_parser(self.options.get("module", f"auxfold.cli.{stem}"), program)
        except (ImportError, RuntimeError) as error:
            raise self.error(f"the command {name} has no parser: {error}") from error
        content: list[nodes.Node] = list(_paragraphs(parser.description or ""))
        content.append(_code(_usage(parser), "text"))
        content.append(_option_list(parser))
        content += _epilog(parser.epilog or "")
        return content


def _paragraphs(text: str) -> Iterator[nodes.Node]:
    """Paragraphs, and indented blocks as they are."""
    for block in text.strip("\n").split("\n\n"):
        first, *others = block.split("\n")
        if others and all(line.startswith("  ") for line in others):
            if first.strip():
                yield nodes.paragraph(text=first.strip().capitalize())
            yield _code("\n".join(line[2:] for line in others), "text")
        elif block.strip():
            yield nodes.paragraph(text=" ".join(block.split()))


def _usage(parser: argparse.ArgumentParser) -> str:
    usage = parser.format_usage().removeprefix("usage: ")
    return "\n".join(line.rstrip() for line in usage.rstrip().split("\n"))


def _option_list(parser: argparse.ArgumentParser) -> nodes.Node:
    items = nodes.definition_list(classes=["options"])
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        names = ", ".join(action.option_strings)
        metavar = _metavar(action)
        term = nodes.term()
        term += nodes.literal(text=" ".join(part for part in (names, metavar) if part))
        if action.required and action.option_strings:
            term += nodes.inline(text=" (required)", classes=["required"])
        text = (action.help or "").replace("%(default)s", str(action.default))
        text = text[:1].upper() + text[1:]
        body = nodes.definition("", nodes.paragraph(text=text.rstrip(".") + "."))
        items += nodes.definition_list_item("", term, body)
    return items


def _metavar(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar) + " ..."
    name = action.metavar or action.dest.upper()
    return f"{name} ..." if action.nargs in ("+", "*") else name


def _epilog(text: str) -> Iterator[nodes.Node]:
    """The parts of an epilog; its examples as shell code."""
    before, _, examples = text.partition("examples:\n")
    yield from _paragraphs(before)
    if examples:
        lines = examples.rstrip().split("\n")
        yield nodes.paragraph("", "", nodes.strong(text="Examples"))
        yield _code("\n".join(line[2:] for line in lines), "bash")


class MetricsDirective(Directive):
    """``{metrics} binary``: the metrics of a kind of task, each with its docstring's first line."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Render the metrics as a list of definitions."""
        from auxfold.tasks import KINDS

        task = KINDS[self.arguments[0]]
        items = nodes.definition_list(classes=["options"])
        for name, metric in task.metrics.items():
            term = nodes.term("", "", nodes.literal(text=name))
            if name == task.default_metric:
                term += nodes.inline(text=" (default)", classes=["required"])
            text = _summary(getattr(metric.function, "func", metric.function))
            if not metric.higher_is_better:
                text += " Lower is better."
            body = nodes.definition("", nodes.paragraph("", "", *_with_literals(text)))
            items += nodes.definition_list_item("", term, body)
        return [items]


class RenamedKeysDirective(Directive):
    """``{renamed-keys}``: the keys and values of the experiment file that have another name now."""

    def run(self) -> list[nodes.Node]:
        """Render the pairs as a list of definitions."""
        from auxfold.config.renamed import RENAMED_KEYS, RENAMED_VALUES

        pairs = {_key(old): _key(new) for old, new in RENAMED_KEYS.items()}
        for key, values in RENAMED_VALUES.items():
            pairs |= {f'{key} = "{old}"': f'{key} = "{new}"' for old, new in values.items()}
        items = nodes.bullet_list()
        for old, new in pairs.items():
            text = ("", nodes.literal(text=old), nodes.Text(" is now "), nodes.literal(text=new))
            items += nodes.list_item("", nodes.paragraph("", *text))
        return [items]


def _key(path: str) -> str:
    """A section in brackets, a key as it is."""
    return path if "." in path else f"[{path}]"


def _summary(function: object) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join((function.__doc__ or "").strip().split("\n\n")[0].split())


def _with_literals(text: str) -> Iterator[nodes.Node]:
    for number, part in enumerate(text.split("``")):
        yield nodes.literal(text=part) if number % 2 else nodes.Text(part)


def _code(text: str, language: str) -> nodes.Node:
    return nodes.literal_block(text, text, language=language)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("command", CommandDirective)
    app.add_directive("metrics", MetricsDirective)
    app.add_directive("renamed-keys", RenamedKeysDirective)
    return {"parallel_read_safe": True}
