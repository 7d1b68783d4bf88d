"""A blend as a record to store and as a text to read."""

from __future__ import annotations

from typing import Any

import numpy as np

from auxfold.blending.candidates import Candidates
from auxfold.blending.members import Member
from auxfold.blending.nested import FittedMethod
from auxfold.blending.options import BlendOptions
from auxfold.tasks.metrics import higher_is_better


def blend_record(
    members: list[Member],
    candidates: Candidates,
    single_scores: dict[str, dict[str, Any]],
    fitted: list[FittedMethod],
    chosen: FittedMethod,
    correlations: list[list[float | None]],
    options: BlendOptions,
) -> dict[str, Any]:
    """The content of ``blend.json``: first what inference needs, then what was measured."""
    return {
        "method": chosen.method,
        "average": chosen.average,
        "power": options.power,
        "tasks": [task.name for task in candidates.tasks],
        "members": [member.to_record() for member in members],
        "weights": {column: values.tolist() for column, values in chosen.weights.items()},
        "metric": candidates.metric,
        "rows": candidates.n_rows,
        "options": {"negative": options.negative, "step": options.step,
                    "by_column": options.by_column},
        "single": single_scores,
        "methods": {
            f.method: {**f.scores, "weights": {c: w.tolist() for c, w in f.weights.items()}}
            for f in fitted
        },
        "correlation": correlations,
    }  # fmt: skip


def format_blend(record: dict[str, Any]) -> str:
    """Runs, correlations, methods and weights of a blend as plain text."""
    names = list(record["single"])
    numbers = [str(number) for number in range(1, len(names) + 1)]
    better = "higher" if higher_is_better(record["metric"]) else "lower"
    return "\n".join(
        [
            f"{len(names)} runs, {record['rows']:,} rows, {record['metric']} ({better} is better); "
            f"labels and folds of {names[0]}",
            "",
            *_align_columns([["run", "OOF", "mean of folds"], *_format_single_runs(record)]),
            "",
            *_align_columns([["correlation of run", *numbers], *_format_correlations(record)]),
            "",
            *_align_columns([_METHOD_HEADER, *_format_methods(record)]),
            "",
            *_align_columns(
                [[f"weights of {record['method']}", *numbers], *_format_weights(record)]
            ),
        ]
    )


_METHOD_HEADER = ["method", "in sample", "nested", "mean of folds", "gain", "95 % interval"]


def _format_single_runs(record: dict[str, Any]) -> list[list[str]]:
    """A row per run with its number, which replaces the name, often a long one, elsewhere."""
    return [
        [f"{number} {name}", _format_score(scores["oof"]), _format_score(scores["mean"])]
        for number, (name, scores) in enumerate(record["single"].items(), start=1)
    ]


def _format_correlations(record: dict[str, Any]) -> list[list[str]]:
    return [
        [str(number), *("–" if value is None else f"{value:.3f}" for value in row)]
        for number, row in enumerate(record["correlation"], start=1)
    ]


def _format_methods(record: dict[str, Any]) -> list[list[str]]:
    lines = []
    for name, scores in record["methods"].items():
        interval = "–"
        if scores["low"] is not None:
            interval = (
                f"{_format_score(scores['low'], '+')} to {_format_score(scores['high'], '+')}"
            )
        cells = [_format_score(scores[key]) for key in ("in_sample", "nested", "mean")]
        lines.append([name, *cells, _format_score(scores["gain"], "+"), interval])
    return lines


def _format_weights(record: dict[str, Any]) -> list[list[str]]:
    """The weights of the chosen method; a single row where all columns have the same ones."""
    rows = {c: [f"{weight:.3f}" for weight in w] for c, w in record["weights"].items()}
    if len({tuple(row) for row in rows.values()}) == 1:
        return [["every column", *next(iter(rows.values()))]]
    return [[column, *row] for column, row in rows.items()]


def _format_score(value: float | None, sign: str = "") -> str:
    if value is None:
        return "–"
    return f"{value:{sign}.5f}" if abs(value) < 100 else f"{value:{sign},.2f}"


def _align_columns(rows: list[list[str]]) -> list[str]:
    widths = np.max([[len(cell) for cell in row] for row in rows], axis=0)
    return [
        "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(pairs)).rstrip()
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
