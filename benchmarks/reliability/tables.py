"""Generated tables: read exactly as they were written, or refused in one line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from auxfold.config.experiment import experiment_from_dict
from auxfold.data.loading import read_training_table
from auxfold.data.table import Table
from auxfold.errors import InputError
from benchmarks.reliability.workspace import Result

WORDS = [
    "rain", "goose", "NA", "null", "None", "nan", "=1+1", "-3", "007", "1e5", "TRUE", "ärger",
    "naïve", "日本語", "مرحبا", "🙂", "a,b", 'say "no"', "it's", "semi;colon", "tab\there",
    "pipe|pipe", "line\nbreak", "back\\slash", "<b>bold</b>", "$x$", "#", "\u200bzero", "é́",
]  # fmt: skip
LABEL_NAMES = ["rude", "is rude", "Ärger", "a.b.", "=rude", "rude;", 'ru"de', "1", "label,x", "🙂"]
SEPARATORS = [",", ",", ",", ";", "\t", "|"]
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"]
QUOTING: list[Literal[0, 1, 2]] = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]
MAX_ROWS = 24


@dataclass(frozen=True)
class GeneratedTable:
    """A table and its file.

    Attributes:
        frame: ``id``, ``text`` and a label column.
        label: its name.
        path: the file.
        is_damaged: whether bytes of the file were changed, so that nothing is known of its rows.
    """

    frame: pd.DataFrame
    label: str
    path: Path
    is_damaged: bool


def prove_tables(folder: Path, n_tables: int, seed: int) -> Result:
    """Write generated tables in every format and read them back.

    Args:
        folder: where to write.
        n_tables: how many.
        seed: of the first table; each has a seed of its own.
    """
    result = Result("generated table")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_tables):
        table = generate_table(folder, np.random.default_rng([seed, number]))
        result.add(*check_table(table, number))
        table.path.unlink()
    return result


def check_table(table: GeneratedTable, number: int) -> tuple[str, str | None]:
    """Read a table; how that ended, and what is wrong."""
    name = f"table {number} ({table.path.suffix})"
    try:
        rows = read_training_table(make_experiment(table))
    except InputError as error:
        is_line = "\n" not in str(error)
        return "refused", None if is_line else f"{name}: several lines: {error}"
    except Exception as error:  # whatever it is, a person must not see it
        return "failed", f"{name}: {type(error).__name__}: {error}"
    if table.is_damaged:
        return "read, of changed bytes", None
    difference = find_difference(table, rows)
    return "read exactly", None if difference is None else f"{name}: {difference}"


def make_experiment(table: GeneratedTable) -> Any:
    """The experiment that trains on it."""
    content = {
        "name": "generated",
        "data": {"train": str(table.path)},
        "model": {"backbone": "none"},
        "tasks": [{"name": "main", "kind": "binary", "columns": [table.label], "main": True}],
    }
    return experiment_from_dict(content, "generated")


def find_difference(table: GeneratedTable, rows: Table) -> str | None:
    """The first row that was read otherwise than it was written."""
    frame = table.frame
    if len(rows) != len(frame):
        return f"{len(rows)} rows instead of {len(frame)}"
    expected = frame[table.label].to_numpy(float)
    for number in range(len(frame)):
        written = (str(frame["id"][number]), frame["text"][number])
        read = (str(rows.ids[number]), rows.texts[0][number])
        if written != read:
            return f"row {number} is {read!r} instead of {written!r}"
        label = float(rows.labels[number, 0])
        if label != np.float32(expected[number]) and not (np.isnan(label) and
                                                          np.isnan(expected[number])):  # fmt: skip
            return f"the label of row {number} is {label} instead of {expected[number]}"
    return None


def generate_table(folder: Path, random: np.random.Generator) -> GeneratedTable:
    """A table with a little of everything that real ones have, in a random format."""
    n_rows = int(random.integers(1, MAX_ROWS))
    label = str(random.choice(LABEL_NAMES))
    frame = pd.DataFrame(
        {
            "id": _generate_ids(n_rows, random),
            "text": [_generate_text(random) for _ in range(n_rows)],
            label: _generate_labels(n_rows, random),
        }
    )
    order = random.permutation(3)
    frame = frame[[frame.columns[position] for position in order]]
    path = WRITERS[int(random.integers(len(WRITERS)))](frame, folder, random)
    is_damaged = random.random() < 0.15
    if is_damaged:
        _damage(path, random)
    return GeneratedTable(frame, label, path, is_damaged)


def _generate_ids(n_rows: int, random: np.random.Generator) -> list[Any]:
    kind = random.integers(4)
    numbers = random.permutation(10 * n_rows)[:n_rows]
    if kind == 0:
        return [int(number) for number in numbers]
    if kind == 1:
        return [int(number) + 2**60 for number in numbers]
    if kind == 2:
        return [f"{number:07d}" for number in numbers]
    ids = [f"r-{number:x}" for number in numbers]
    return [*ids[:-1], ids[0]] if random.random() < 0.1 else ids  # one of them twice


def _generate_text(random: np.random.Generator) -> str:
    words = random.choice(WORDS, size=random.integers(1, 12))
    text = str(random.choice([" ", "  ", "\n"], p=[0.9, 0.05, 0.05])).join(words)
    return "" if random.random() < 0.02 else text


def _generate_labels(n_rows: int, random: np.random.Generator) -> list[Any]:
    labels: list[Any] = random.integers(2, size=n_rows).tolist()
    if random.random() < 0.3:
        labels = random.random(n_rows).round(3).tolist()
    if random.random() < 0.3:
        labels = [None if random.random() < 0.3 else label for label in labels]
    return labels


def _write_separated(frame: pd.DataFrame, folder: Path, random: np.random.Generator) -> Path:
    separator, encoding = str(random.choice(SEPARATORS)), str(random.choice(ENCODINGS))
    stream = io.StringIO(newline="")
    writer = csv.writer(
        stream,
        delimiter=separator,
        lineterminator=str(random.choice(["\n", "\r\n"])),
        quoting=QUOTING[int(random.integers(len(QUOTING)))],
    )
    writer.writerow(frame.columns)
    for row in frame.astype(object).itertuples(index=False):
        writer.writerow(["" if cell is None or cell != cell else cell for cell in row])
    try:
        content = stream.getvalue().encode(encoding)
    except UnicodeEncodeError:
        content = stream.getvalue().encode()
    if random.random() < 0.2:
        path = folder / "table.csv.gz"
        path.write_bytes(gzip.compress(content, mtime=0))
    else:
        path = folder / ("table.tsv" if separator == "\t" else "table.csv")
        path.write_bytes(content)
    return path


def _write_parquet(frame: pd.DataFrame, folder: Path, random: np.random.Generator) -> Path:
    path = folder / "table.parquet"
    frame.to_parquet(path, index=False)
    return path


def _write_json_lines(frame: pd.DataFrame, folder: Path, random: np.random.Generator) -> Path:
    path = folder / "table.jsonl"
    rows = [
        {name: None if cell != cell else cell for name, cell in zip(frame, row, strict=True)}
        for row in frame.astype(object).itertuples(index=False)
    ]
    is_ascii = bool(random.integers(2))
    path.write_text("".join(json.dumps(row, ensure_ascii=is_ascii) + "\n" for row in rows))
    return path


WRITERS: list[Callable[[pd.DataFrame, Path, np.random.Generator], Path]] = [
    _write_separated, _write_separated, _write_parquet, _write_json_lines,
]  # fmt: skip


def _damage(path: Path, random: np.random.Generator) -> None:
    """Change some bytes of a file, insert some, or cut it off."""
    content = bytearray(path.read_bytes())
    position = int(random.integers(len(content)))
    kind = random.integers(3)
    if kind == 0:
        content = content[:position]
    elif kind == 1:
        content[position] = int(random.integers(256))
    else:
        content[position:position] = bytes(random.integers(256, size=3).tolist())
    path.write_bytes(content)
