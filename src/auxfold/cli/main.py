"""``auxfold <command>``: calls the command's module and turns its errors into one line."""

from __future__ import annotations

import sys
from importlib import import_module

import auxfold
from auxfold.cli.commands import COMMANDS, NAMES, module_name
from auxfold.cli.exit_codes import run
from auxfold.cli.threads import let_waiting_threads_sleep
from auxfold.errors import InputError, nearest


def main(command: str | None = None, argv: list[str] | None = None) -> None:
    """Run one command.

    Args:
        command: its name, with hyphens or underscores. The first argument when left out.
        argv: its arguments. Those of the process when left out.
    """
    let_waiting_threads_sleep()
    arguments = sys.argv[1:] if argv is None else argv
    run(lambda: dispatch(arguments if command is None else [command, *arguments]))


def dispatch(arguments: list[str]) -> None:
    """Call the command that the first argument names with the others.

    Raises:
        InputError: there is no such command.
    """
    name, *rest = arguments or ["--help"]
    if name in ("--help", "-h"):
        print(describe_commands())
    elif name == "--version":
        print(f"auxfold {auxfold.__version__}")
    elif name.replace("_", "-") in NAMES:
        import_module(f"auxfold.cli.{module_name(name)}").main(rest)
    else:
        hint = nearest(name.replace("_", "-"), NAMES)
        raise InputError(f"no command {name!r}{hint}; auxfold --help lists the commands")


def describe_commands() -> str:
    """The help of ``auxfold``: one line per command, grouped in the order of the work."""
    lines = ["usage: auxfold COMMAND [options]", "", auxfold.__doc__ or ""]
    for title, commands in COMMANDS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:15} {summary}" for name, summary in commands.items()]
    lines += ["", "auxfold COMMAND --help shows a command's options; auxfold --version the version"]
    return "\n".join(lines)
