"""Columns of tags as one binary label per tag, and what is learned from them before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from auxfold.config import TagsSettings
from auxfold.data.cells import MISSING_WORDS, ParsedLabels, list_counts, normalize_word
from auxfold.data.files import format_list
from auxfold.data.tag_cells import Tag, TagFormat, detect_tag_format, sort_tags
from auxfold.errors import InputError, nearest


def tag_format(task: TagsSettings) -> TagFormat:
    """How the cells of a task hold their tags.

    Raises:
        InputError: that is not known yet.
    """
    if not task.is_resolved or task.cell_format is None:
        raise InputError(
            f"how the cells of tasks.{task.name} hold their tags is not known yet; run "
            f"make_folds.py, which learns it from the training table"
        )
    return TagFormat(task.cell_format, task.separator or "")


def parse_tags(frame: pd.DataFrame, task: TagsSettings, path: str) -> ParsedLabels:
    """1 where a row has a tag, else 0, ``(rows, tags)``; NaN in rows without a label.

    Raises:
        InputError: a cell of another form, or a tag that is not among those of the task; the error
            names file, column and row.
    """
    values, notes = _parse_cells(frame, task, path)
    return ParsedLabels(values, [*_describe_format(task), *notes])


def _parse_cells(frame: pd.DataFrame, task: TagsSettings, path: str) -> ParsedLabels:
    """The labels, with notes on what was left out."""
    column, names = task.columns[0], task.tag_names
    codes, cells = _factorize(frame[column], task)
    n_rows = np.bincount(codes, minlength=len(cells))
    tags_by_cell = _split_cells(codes, cells, task, path)
    counts = _count_tags(tags_by_cell, n_rows)
    position = {name: number for number, name in enumerate(names)}
    unknown = {tag: count for tag, count in counts.items() if tag not in position}
    unseen = {tag: count for tag, count in unknown.items() if count >= task.min_count}
    if unseen and task.unseen == "error":
        raise _refuse_unseen(codes, tags_by_cell, unseen, task, path)
    values = np.zeros((len(cells), len(names)), dtype=np.float32)
    for number, tags in enumerate(tags_by_cell):
        if tags is None:
            values[number] = np.nan
        else:
            values[number, [position[tag] for tag in tags if tag in position]] = 1
    rare = {tag: count for tag, count in unknown.items() if tag not in unseen}
    notes = _describe_left_out(column, rare, f"in fewer than {task.min_count} rows")
    notes += _describe_left_out(column, unseen, "not among those of the task")
    notes += _describe_missing_words(column, cells, n_rows, tags_by_cell)
    return ParsedLabels(values[codes], notes)


def complete_tags(task: TagsSettings, columns: Sequence[pd.Series], path: str) -> TagsSettings:
    """The task with its tags and the form of their cells, as the training table has them.

    Args:
        task: what it sets stays as it is.
        columns: the column of tags in each file of the table.
        path: the files, named in errors.

    Raises:
        InputError: the form of the cells is ambiguous, a cell has another form, or no tag is in
            enough rows.
    """
    column = task.columns[0]
    codes, cells = _factorize(pd.concat(columns, ignore_index=True), task)
    form = _learn_format(task, cells, path)
    separator = form.separator if form.cell_format == "separated" else None
    update = {"cell_format": form.cell_format, "separator": separator}
    if task.tags is not None:
        return task.model_copy(update=update)
    task = task.model_copy(update={**update, "tags": []})  # any tag is accepted here
    tags_by_cell = _split_cells(codes, cells, task, path, as_text=False)
    counts = _count_tags(tags_by_cell, np.bincount(codes, minlength=len(cells)))
    frequent = [tag for tag, count in counts.items() if count >= task.min_count]
    if not frequent:
        raise InputError(
            f"{path}: column {column!r} holds no tag in {task.min_count} rows or more "
            f"(tasks.{task.name}.min_count)"
        )
    tags = sort_tags(frequent)
    if not all(isinstance(tag, int) for tag in tags):
        tags = sort_tags(map(str, tags))
    return task.model_copy(update={"tags": tags})


def expand_tags(
    frame: pd.DataFrame, task: TagsSettings, path: str
) -> tuple[pd.DataFrame, list[str]]:
    """The frame with a column of strings per tag instead of the column of tags, if it has that.

    Returns:
        The frame, and a note for each kind of tags that were left out.

    Raises:
        InputError: as of :func:`parse_tags`.
    """
    column = task.columns[0]
    if column not in frame.columns or column in task.label_columns:
        return frame, []
    values, notes = _parse_cells(frame, task, path)
    texts = np.where(np.isnan(values), "", np.where(values == 1, "1", "0"))
    columns = dict(zip(task.label_columns, texts.T, strict=True))
    return frame.drop(columns=column).assign(**columns), notes


def _factorize(cells: pd.Series, task: TagsSettings) -> tuple[np.ndarray, pd.Index]:
    """The number of each row's cell, and the distinct cells."""
    cells = cells.str.strip()
    return pd.factorize(cells.mask(cells.isin(task.na_values), ""))


def _learn_format(task: TagsSettings, cells: Iterable[str], path: str) -> TagFormat:
    if task.separator is not None:
        return TagFormat("separated", task.separator)
    if task.cell_format in ("json", "python"):
        return TagFormat(task.cell_format)
    try:
        texts = [cell for cell in cells if cell.lower() not in MISSING_WORDS]
        return detect_tag_format(texts, task.cell_format)
    except ValueError as error:
        raise _refuse(error, task, path) from None


def _split_cells(
    codes: np.ndarray, cells: pd.Index, task: TagsSettings, path: str, as_text: bool = True
) -> list[list[Tag] | None]:
    """The tags of every distinct cell; None where a row with such a cell is not labeled."""
    form, names = tag_format(task), set(task.tag_names)
    tags_by_cell: list[list[Tag] | None] = []
    for number, cell in enumerate(cells):
        if cell.lower() in MISSING_WORDS and cell not in names:
            tags_by_cell.append([] if task.empty == "no_tags" else None)
            continue
        try:
            tags = form.split(cell)
        except ValueError as error:
            row = np.flatnonzero(codes == number)[0] + 1
            raise _refuse(error, task, path, row) from None
        tags_by_cell.append([str(tag) for tag in tags] if as_text else tags)
    return tags_by_cell


def _refuse(error: ValueError, task: TagsSettings, path: str, row: int | None = None) -> InputError:
    """The error for a form of cells; its message has ``<column>`` where the name belongs."""
    column = task.columns[0]
    where = f"column {column!r}" if row is None else f"column {column!r}, row {row}"
    message = str(error).replace("<column>", column)
    return InputError(f"{path}: {where}: {message} (tasks.{task.name})")


def _count_tags(tags_by_cell: list[list[Tag] | None], n_rows: np.ndarray) -> Counter[Tag]:
    """The number of rows with each tag."""
    counts: Counter[Tag] = Counter()
    for tags, n in zip(tags_by_cell, n_rows, strict=True):
        for tag in tags or ():
            counts[tag] += int(n)
    return counts


def _refuse_unseen(
    codes: np.ndarray,
    tags_by_cell: list[list[Tag] | None],
    unseen: dict[Tag, int],
    task: TagsSettings,
    path: str,
) -> InputError:
    """The error for the first row with a tag that the task does not have."""
    has_unseen = np.array([bool(unseen.keys() & set(tags or ())) for tags in tags_by_cell])
    rows = np.flatnonzero(has_unseen[codes])
    tag = next(tag for tag in tags_by_cell[codes[rows[0]]] or () if tag in unseen)
    return InputError(
        f"{path}: column {task.columns[0]!r}, row {rows[0] + 1}: {tag!r} is none of the tags of "
        f"tasks.{task.name}{nearest(str(tag), task.tag_names)} ({len(rows)} such rows); add it to "
        f'tags, make new folds (make_folds.py --overwrite), or set unseen = "ignore"; tags: '
        f"{format_list(task.tag_names)}"
    )


def _describe_format(task: TagsSettings) -> list[str]:
    """The tags and what separates them, and those that differ only in case or white space."""
    column, names = task.columns[0], task.tag_names
    if task.cell_format != "separated":
        how = "in lists"
    elif task.separator:
        how = f"separated by {task.separator.strip() or task.separator!r}"
    else:
        how = "each cell is one tag"
    texts = [repr(name) for name in names] if any("," in name for name in names) else names
    lines = [f"{column}: {_count(len(names), 'tag')}, {how}: {format_list(texts)}"]
    words = {name: normalize_word(name) for name in names}
    if len(set(words.values())) < len(words):
        lines += [
            f"{column}: the tags {first!r} and {second!r} differ only in case or white space"
            for first, second in combinations(names, 2)
            if words[first] == words[second]
        ]
    return lines


def _describe_left_out(column: str, counts: dict[Tag, int], reason: str) -> list[str]:
    if not counts:
        return []
    verb = "is" if len(counts) == 1 else "are"
    tags = f"{_count(len(counts), 'tag')} {reason}"
    return [f"{column}: {tags} {verb} left out: {list_counts(counts)}"]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _describe_missing_words(
    column: str, cells: pd.Index, n_rows: np.ndarray, tags_by_cell: list[list[Tag] | None]
) -> list[str]:
    return [
        f"{column}: {cell!r} is read as not labeled ({_count(n, 'row')})"
        for cell, n, tags in zip(cells, n_rows, tags_by_cell, strict=True)
        if tags is None and cell
    ]
