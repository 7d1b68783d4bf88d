"""The page of speeds: one table per kind and device, to which every measurement adds its row."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from auxfold.errors import InputError

NOT_MEASURED = "Not measured yet.\n\n"
Record = dict[str, Any]


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        title: its header.
        format: the cell of a record.
        is_key: rows with equal keys are measurements of the same, of which the newest counts.
    """

    title: str
    format: Callable[[Record], str]
    is_key: bool = False


def add_rows(page: Path, records: list[Record]) -> None:
    """Write records into the page, each into the table of its kind and device.

    A record replaces the row of the same case on the same device. All other rows stay.

    Raises:
        InputError: the page has no place for a kind, or a table with other columns.
    """
    text = page.read_text(encoding="utf-8")
    for record in records:
        for part in record.get("parts", [{}]):
            text = _with_row(text, {**record, **part}, page)
    page.write_text(text, encoding="utf-8")


def _with_row(text: str, record: Record, page: Path) -> str:
    kind, device = record["kind"], record["device"]
    columns = COLUMNS[kind]
    header = _table_line([column.title for column in columns])
    rule = _table_line(["---"] * len(columns))
    cells = [column.format(record) for column in columns]
    start, end = f"<!-- {kind} on {device} -->\n", f"<!-- end of {kind} on {device} -->\n"
    n_keys = sum(column.is_key for column in columns)
    block = re.search(f"{re.escape(start)}(.*?){re.escape(end)}", text, re.DOTALL)
    if block is None:
        marker = f"<!-- other devices: {kind} -->\n"
        if marker not in text:
            raise InputError(f"{page} has no line {marker.strip()!r}, before which rows are added")
        content = f"{start}**{device}**\n\n{header}{rule}{_table_line(cells)}\n{end}\n{marker}"
        return text.replace(NOT_MEASURED + marker, marker).replace(marker, content)
    lines = [line for line in block[1].splitlines(keepends=True) if line.startswith("|")]
    if lines[0] != header:
        raise InputError(f"{page}: the table of {kind} on {device} has other columns; remove it")
    rows = [row for row in lines[2:] if _cells(row)[:n_keys] != cells[:n_keys]]
    rows = sorted([*rows, _table_line(cells)])
    content = f"{start}**{device}**\n\n{header}{rule}{''.join(rows)}\n{end}"
    return text[: block.start()] + content + text[block.end() :]


def _table_line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cells(line: str) -> list[str]:
    return line.strip().removeprefix("| ").removesuffix(" |").split(" | ")


def _case(title: str, name: str) -> Column:
    return Column(title, lambda record: str(record["case"][name]), is_key=True)


def _number(title: str, section: str, name: str, style: str) -> Column:
    """A number of a record; – where it was not measured."""

    def cell(record: Record) -> str:
        value = record.get(section, {}).get(name)
        return "–" if value is None else format(value, style)

    return Column(title, cell)


def _measured_with(record: Record) -> str:
    versions = record["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers"))
    return f"`{record['command']}` (seed {record['seed']}; {packages}; {record['date']})"


MEASURED_WITH = Column("measured with", _measured_with)

_PARTS = [
    _case("what", "what"),
    Column("rows", lambda record: format(record["case"]["rows"], ","), is_key=True),
    _number("auxfold, s", "medians", "auxfold_seconds", ".3g"),
    _number("baseline, s", "medians", "baseline_seconds", ".3g"),
    Column("which", lambda record: record["case"]["baseline"]),
    _number("×", "ratios", "baseline", ".2f"),
    MEASURED_WITH,
]

COLUMNS: dict[str, list[Column]] = {
    "train": [
        _case("backbone", "backbone"),
        _case("batch", "batch_size"),
        _case("dropout", "dropout"),
        _case("format", "amp_dtype"),
        _case("tokens per row", "tokens"),
        _number("auxfold, rows/s", "medians", "auxfold_rows_per_second", ",.4g"),
        _number("Trainer at its best", "medians", "trainer_best_rows_per_second", ",.4g"),
        _number("Trainer, defaults", "medians", "trainer_default_rows_per_second", ",.4g"),
        _number("× best", "ratios", "trainer_best", ".2f"),
        _number("× defaults", "ratios", "trainer_default", ".2f"),
        _number("share of the floor", "ratios", "floor_share", ".1%"),
        _number("peak GiB", "memory_gib", "auxfold", ".2f"),
        _number("Trainer's", "memory_gib", "trainer_best", ".2f"),
        MEASURED_WITH,
    ],
    "predict": [
        _case("backbone", "backbone"),
        _case("format", "amp_dtype"),
        _case("the pipeline's", "pipeline_dtype"),
        _case("tokens per row", "tokens"),
        _number("auxfold, rows/s", "medians", "auxfold_rows_per_second", ",.4g"),
        _number("from tokens", "medians", "tokens_rows_per_second", ",.4g"),
        _number("pipeline", "medians", "pipeline_rows_per_second", ",.4g"),
        _number("× pipeline", "ratios", "pipeline", ".2f"),
        _number("share of the floor", "ratios", "floor_share", ".1%"),
        _number("peak GiB", "memory_gib", "auxfold", ".2f"),
        _number("pipeline's", "memory_gib", "pipeline", ".2f"),
        MEASURED_WITH,
    ],
    "idle": [
        _case("backbone", "backbone"),
        _case("batch", "batch_size"),
        _case("dropout", "dropout"),
        _case("format", "amp_dtype"),
        _case("rows", "rows"),
        _number("seconds of an epoch", "medians", "seconds", ".2f"),
        _number("GPU busy", "medians", "busy_seconds", ".2f"),
        _number("idle", "medians", "idle_share", ".1%"),
        MEASURED_WITH,
    ],
    "memory": [
        _case("backbone", "backbone"),
        _case("settings", "settings"),
        _case("format", "amp_dtype"),
        Column(
            "largest micro-batch",
            lambda record: "{rows} rows of {length} tokens".format(**record["case"]),
            is_key=True,
        ),
        _number("estimated, GB", "medians", "estimated_gb", ".3f"),
        _number("peak, GB", "medians", "peak_gb", ".3f"),
        _number("estimated / peak", "ratios", "estimate", ".2f"),
        MEASURED_WITH,
    ],
    **dict.fromkeys(("evaluate", "metric", "folds", "load", "start"), _PARTS),
}
