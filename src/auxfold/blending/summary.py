"""What a blend is, as a record to store and as text to read."""

from __future__ import annotations

from typing import Any

import numpy as np

from auxfold.blending.fitting import Fitted, Options
from auxfold.blending.members import Candidates, Member
from auxfold.tasks.metrics import higher_is_better


def blend_record(
    members: list[Member],
    candidates: Candidates,
    alone: dict[str, dict[str, Any]],
    fitted: list[Fitted],
    chosen: Fitted,
    correlation: list[list[float | None]],
    options: Options,
) -> dict[str, Any]:
    """``blend.json``: what inference needs, then what was measured."""
    return {
        "method": chosen.method,
        "average": chosen.average,
        "power": options.power,
        "tasks": [task.name for task in candidates.tasks],
        "members": [member.record() for member in members],
        "weights": {column: values.tolist() for column, values in chosen.weights.items()},
        "metric": candidates.metric,
        "rows": len(candidates.folds),
        "options": {"negative": options.negative, "step": options.step,
                    "by_column": options.by_column},
        "single": alone,
        "methods": {
            one.method: {**one.record, "weights": {c: w.tolist() for c, w in one.weights.items()}}
            for one in fitted
        },
        "correlation": correlation,
    }  # fmt: skip


def blend_table(record: dict[str, Any]) -> str:
    """Runs, correlations, methods and weights as plain text."""
    names = list(record["single"])
    numbers = [str(number) for number in range(1, len(names) + 1)]
    arrow = "higher" if higher_is_better(record["metric"]) else "lower"
    return "\n".join(
        [
            f"{len(names)} runs, {record['rows']:,} rows, {record['metric']} ({arrow} is better); "
            f"labels and folds of {names[0]}",
            "",
            *_aligned([["run", "OOF", "mean of folds"], *_singles(record)]),
            "",
            *_aligned([["correlation of run", *numbers], *_correlations(record)]),
            "",
            *_aligned([_HEADER, *_methods(record)]),
            "",
            *_aligned([[f"weights of {record['method']}", *numbers], *_weights(record)]),
        ]
    )


_HEADER = ["method", "in sample", "nested", "mean of folds", "gain", "95 % interval"]


def _singles(record: dict[str, Any]) -> list[list[str]]:
    """Numbered: elsewhere the numbers stand for the names, which may be long."""
    return [
        [f"{number} {name}", _number(told["oof"]), _number(told["mean"])]
        for number, (name, told) in enumerate(record["single"].items(), start=1)
    ]


def _correlations(record: dict[str, Any]) -> list[list[str]]:
    return [
        [str(number), *("–" if value is None else f"{value:.3f}" for value in row)]
        for number, row in enumerate(record["correlation"], start=1)
    ]


def _methods(record: dict[str, Any]) -> list[list[str]]:
    made = []
    for name, told in record["methods"].items():
        interval = "–"
        if told["low"] is not None:
            interval = f"{_number(told['low'], '+')} to {_number(told['high'], '+')}"
        scores = [_number(told[key]) for key in ("in_sample", "nested", "mean")]
        made.append([name, *scores, _number(told["gain"], "+"), interval])
    return made


def _weights(record: dict[str, Any]) -> list[list[str]]:
    """The chosen method's; one row where all columns have the same."""
    rows = {c: [f"{weight:.3f}" for weight in w] for c, w in record["weights"].items()}
    if len({tuple(row) for row in rows.values()}) == 1:
        return [["every column", *next(iter(rows.values()))]]
    return [[column, *row] for column, row in rows.items()]


def _number(value: float | None, sign: str = "") -> str:
    if value is None:
        return "–"
    return f"{value:{sign}.5f}" if abs(value) < 100 else f"{value:{sign},.2f}"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = np.max([[len(cell) for cell in row] for row in rows], axis=0)
    return [
        "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(pairs)).rstrip()
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
