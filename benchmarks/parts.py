"""Small comparisons: several functions and what else does the same, timed in turns."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from benchmarks.options import make_parser
from benchmarks.record import make_record, publish
from benchmarks.timing import alternate, medians, seconds_of

CPU = torch.device("cpu")


class Part(NamedTuple):
    """One function and its baseline.

    Attributes:
        name: what it does.
        ours: a function without arguments.
        baseline: what the baseline is called; empty: there is none.
        theirs: a function without arguments.
    """

    name: str
    ours: Callable[[], Any]
    baseline: str = ""
    theirs: Callable[[], Any] | None = None


def time_part(part: Part, n_rows: int, repetitions: int) -> dict[str, Any]:
    """The medians of a part in seconds, after one call of each that does not count."""
    contestants = {"auxfold": part.ours}
    if part.theirs is not None:
        contestants["baseline"] = part.theirs
    timed = {name: _timed(run) for name, run in contestants.items()}
    for run in timed.values():
        run()
    seconds = alternate(timed, repetitions)
    return summarize_part(part.name, n_rows, part.baseline, seconds)


def run_parts(
    kind: str,
    descriptions: tuple[str, str],
    make_parts: Callable[[int, int], list[Part]],
    argv: list[str] | None,
) -> None:
    """The command of a benchmark whose parts are made from ``--rows`` and ``--seed``.

    Args:
        kind: as in ``python -m benchmarks KIND``.
        descriptions: what is measured, and examples, for the help.
        make_parts: the parts for a number of rows and a seed.
        argv: the arguments of the command's ``main``.
    """
    parser = make_parser(kind, *descriptions)
    parser.add_argument("--rows", type=int, default=100_000, help="default: %(default)s")
    args = parser.parse_args(argv)
    parts = [
        time_part(part, args.rows, args.repetitions) for part in make_parts(args.rows, args.seed)
    ]
    publish(parts_record(kind, args.seed, argv, parts), args.json, not args.no_table)


def summarize_part(
    name: str, n_rows: int, baseline: str, seconds: dict[str, list[float]]
) -> dict[str, Any]:
    """The medians of what was timed, and their ratio where there is a baseline."""
    middle = medians(seconds)
    figures = {f"{contestant}_seconds": value for contestant, value in middle.items()}
    ratios = {"baseline": middle["baseline"] / middle["auxfold"]} if "baseline" in middle else {}
    return {
        "case": {"what": name, "rows": n_rows, "baseline": baseline or "–"},
        "ratios": ratios,
        "medians": figures,
        "seconds": seconds,
    }


def parts_record(
    kind: str, seed: int, argv: list[str] | None, parts: list[dict[str, Any]]
) -> dict[str, Any]:
    """The record of a benchmark that consists of parts.

    Args:
        kind: as in ``python -m benchmarks KIND``.
        seed: of what was generated.
        argv: the arguments of the command's ``main``.
        parts: what :func:`summarize_part` gives.
    """
    ratios = {part["case"]["what"]: part["ratios"]["baseline"] for part in parts if part["ratios"]}
    arguments = sys.argv[2:] if argv is None else argv
    return make_record(kind, CPU, seed, arguments, ratios=ratios, parts=parts)


def _timed(run: Callable[[], Any]) -> Callable[[], float]:
    return lambda: seconds_of(run, CPU)
