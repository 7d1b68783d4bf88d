"""Average prediction files, joined by id, with the weights that the user chooses."""

from __future__ import annotations

from itertools import compress

import numpy as np
import pandas as pd

from auxfold.config import BinarySettings, RegressionSettings
from auxfold.config.task_settings import is_annotation
from auxfold.data.files import read_columns
from auxfold.data.ids import check_same_ids, check_unique_ids
from auxfold.data.tag_cells import Tag, TagFormat, detect_tag_format
from auxfold.errors import InputError
from auxfold.postprocessing.averaging import check_average, from_scale, to_scale
from auxfold.tasks import Task, create_task


def blend_files(
    paths: list[str], weights: list[float] | None, average: str, power: float
) -> pd.DataFrame:
    """Average prediction files: joined by id, in the order and with the columns of the first.

    Args:
        paths: two or more files, with the id column first. All other columns are averaged, except
            one that names a class next to columns with the classes' probabilities, or tags next to
            columns with theirs. It names the most probable class of the average, or the tags with
            0.5 or more. ``fold`` and ``<column>__label`` of out-of-fold files are left out.
        weights: one per file, with a sum above zero; None: equal weights.
        average: one of ``auxfold.postprocessing.averaging.AVERAGES``.
        power: the exponent of the average ``power``.

    Raises:
        InputError: the files differ in ids or columns, an id is there twice, a value is no number
            (or no probability, which ``logit`` and ``power`` need), or the weights do not fit.
    """
    shares = _normalize_weights(weights, len(paths))
    tables = [_read_predictions(path) for path in paths]
    classes, tags = _class_columns(tables[0]), _tag_columns(tables[0])
    frames = [
        _to_numbers(table.drop(columns=[*classes, *tags], errors="ignore"), path)
        for table, path in zip(tables, paths, strict=True)
    ]
    ids, columns = frames[0].index, list(frames[0].columns)
    for path, frame in zip(paths[1:], frames[1:], strict=True):
        if set(frame.columns) != set(columns) or frame.index.name != ids.name:
            raise InputError(
                f"{path} has the columns {_format_columns(frame)}; those of "
                f"{paths[0]} are {_format_columns(frames[0])}"
            )
        check_same_ids(ids, frame.index, paths[0], path)
    task = _create_file_task(columns, average)
    check_average(average, [task], len(ids))
    total = np.zeros((len(ids), len(columns)))
    for path, share, frame in zip(paths, shares, frames, strict=True):
        values = frame.loc[ids, columns].to_numpy()
        if average in ("logit", "power") and not ((values >= 0) & (values <= 1)).all():
            raise InputError(f"{path}: {average} is for probabilities; a value lies outside 0 to 1")
        total += share * to_scale(task, values, average, power)
    if average == "power" and (total < 0).any():
        raise InputError("--weights: a power mean below zero has no root; give larger weights")
    blended = pd.DataFrame(from_scale(task, total, average, power), index=ids, columns=columns)
    for column, names in classes.items():
        most_probable = blended[[f"{column}_{name}" for name in names]].to_numpy().argmax(axis=1)
        blended[column] = np.array(names, dtype=object)[most_probable]
    for column, (form, tag_names) in tags.items():
        decisions = blended[[f"{column}_{name}" for name in tag_names]].to_numpy() >= 0.5
        blended[column] = [form.join(compress(tag_names, row)) for row in decisions]
    return blended[tables[0].columns].reset_index()


def _read_predictions(path: str) -> pd.DataFrame:
    """The predictions as strings, with the ids as index; of an out-of-fold file only these.

    Raises:
        InputError: there are no predictions, or an id is there twice.
    """
    frame = read_columns(path)
    frame = frame.set_index(frame.columns[0])
    frame = frame[[column for column in frame.columns if not is_annotation(column)]]
    if frame.shape[1] == 0:
        raise InputError(f"{path} has an id column and no predictions")
    check_unique_ids(frame.index, path)
    return frame


def _format_columns(frame: pd.DataFrame) -> str:
    return ", ".join(map(str, [frame.index.name, *frame.columns]))


def _class_columns(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Columns that name a class, and their classes: ``mood`` with ``mood_bad``, ….

    Every value of such a column is the end of the name of a column of probabilities.
    """
    classes = {}
    for column in frame.columns:
        prefix = f"{column}_"
        names = [name.removeprefix(prefix) for name in frame.columns if name.startswith(prefix)]
        if len(names) > 1 and set(frame[column]) <= set(names):
            classes[column] = names
    return classes


def _tag_columns(frame: pd.DataFrame) -> dict[str, tuple[TagFormat, list[Tag]]]:
    """Columns that hold tags, the form of their cells, and the tags: ``topics`` with ``topics_a``.

    Every tag of such a column is the end of the name of a column of probabilities.
    """
    columns = {}
    for column in frame.columns:
        prefix = f"{column}_"
        names = [name.removeprefix(prefix) for name in frame.columns if name.startswith(prefix)]
        if not names or column in _class_columns(frame):
            continue
        cells = [cell for cell in frame[column].unique() if cell]
        try:
            form = detect_tag_format(cells)
            tags = {tag for cell in cells for tag in form.split(cell)}
        except ValueError:
            continue
        if {str(tag) for tag in tags} <= set(names):
            has_numbers = bool(tags) and all(isinstance(tag, int) for tag in tags)
            # Without a cell of several tags, the separator does not show.
            is_unknown = form.cell_format == "separated" and not form.separator
            form = TagFormat("separated", ";") if is_unknown else form
            columns[column] = form, [int(name) if has_numbers else name for name in names]
    return columns


def _to_numbers(frame: pd.DataFrame, path: str) -> pd.DataFrame:
    """The values as float64.

    Raises:
        InputError: a value is not a finite number.
    """
    numbers = frame.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    invalid = ~np.isfinite(numbers)
    if invalid.to_numpy().any():
        column = invalid.columns[invalid.any()][0]
        value = frame.loc[invalid[column], column].iloc[0]
        raise InputError(
            f"{path}: column {column!r}: {value!r} is not a number; only numbers can be averaged"
        )
    return numbers


def _normalize_weights(weights: list[float] | None, n_files: int) -> np.ndarray:
    values = np.ones(n_files) if weights is None else np.array(weights, dtype=np.float64)
    if len(values) != n_files:
        raise InputError(f"--weights has {len(values)} numbers for {n_files} files")
    if not np.isfinite(values).all() or not values.sum() > 0:
        raise InputError("--weights must be numbers whose sum is above zero")
    return values / values.sum()


def _create_file_task(columns: list[str], average: str) -> Task:
    """A task for the columns of a file: of probabilities, or for their mean of any numbers."""
    if average == "probability":
        return create_task(RegressionSettings(name="file", kind="regression", columns=columns))
    return create_task(BinarySettings(name="file", kind="binary", columns=columns))
