"""Prediction files as one, joined by id, by weights that somebody gives."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.config import BinarySettings, RegressionSettings
from auxfold.data.files import read_columns
from auxfold.errors import InputError
from auxfold.inference.blend import check_ids
from auxfold.postprocessing.averaging import check_average, from_scale, to_scale
from auxfold.tasks import KINDS, Task


def blend_files(
    paths: list[str], weights: list[float] | None, average: str, power: float
) -> pd.DataFrame:
    """Prediction files as one, joined by id: in the order and with the columns of the first.

    Args:
        paths: two or more files, the id column first. Every other column is averaged, but a column
            of classes beside those of their probabilities: it tells the likeliest class after it.
        weights: one per file, of whatever sum above zero; equal when left out.
        average: one of ``averaging.AVERAGES``.
        power: the exponent of ``power``.

    Raises:
        InputError: other ids or columns, an id twice, a value that is no number or, for ``logit``
            and ``power``, no probability, weights that do not fit.
    """
    shares = _shares(weights, len(paths))
    given = [_read(path) for path in paths]
    classes = _classes(given[0])
    frames = [
        _numbers(f.drop(columns=[*classes], errors="ignore"), p)
        for f, p in zip(given, paths, strict=True)
    ]
    ids, columns = frames[0].index, list(frames[0].columns)
    for path, frame in zip(paths[1:], frames[1:], strict=True):
        if set(frame.columns) != set(columns) or frame.index.name != ids.name:
            raise InputError(
                f"{path} has the columns {', '.join([frame.index.name, *frame.columns])}; those of "
                f"{paths[0]} are {', '.join([ids.name, *columns])}"
            )
        check_ids(ids.to_numpy(), frame.index.to_numpy(), paths[0], path)
    task = _task_of(columns, average)
    check_average(average, [task], len(ids))
    total = np.zeros((len(ids), len(columns)))
    for path, share, frame in zip(paths, shares, frames, strict=True):
        values = frame.loc[ids, columns].to_numpy()
        if average in ("logit", "power") and not ((values >= 0) & (values <= 1)).all():
            raise InputError(f"{path}: {average} is for probabilities; a value lies outside 0 to 1")
        total += share * to_scale(task, values, average, power)
    if average == "power" and (total < 0).any():
        raise InputError("--weights: a power mean has no root where weights below zero prevail")
    made = pd.DataFrame(from_scale(task, total, average, power), index=ids, columns=columns)
    for column, names in classes.items():
        likeliest = made[[f"{column}_{name}" for name in names]].to_numpy().argmax(axis=1)
        made[column] = np.array(names, dtype=object)[likeliest]
    return made[given[0].columns].reset_index()


def _read(path: str) -> pd.DataFrame:
    """Strings by id.

    Raises:
        InputError: no columns, or an id twice.
    """
    frame = read_columns(path)
    frame = frame.set_index(frame.columns[0])
    if frame.shape[1] == 0:
        raise InputError(f"{path} has an id column and no predictions")
    if frame.index.duplicated().any():
        twice = frame.index[frame.index.duplicated()][0]
        raise InputError(f"{path}: id {twice!r} stands there twice")
    return frame


def _classes(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Columns that name the likeliest class, and the classes: ``mood`` with ``mood_bad``, ….

    Every value of such a column is the end of a column of probabilities.
    """
    made = {}
    for column in frame.columns:
        start = f"{column}_"
        names = [other.removeprefix(start) for other in frame.columns if other.startswith(start)]
        if len(names) > 1 and set(frame[column]) <= set(names):
            made[column] = names
    return made


def _numbers(frame: pd.DataFrame, path: str) -> pd.DataFrame:
    """The values as numbers.

    Raises:
        InputError: a value is none.
    """
    numbers = frame.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.to_numpy().any():
        column = wrong.columns[wrong.any()][0]
        given = frame.loc[wrong[column], column].iloc[0]
        raise InputError(
            f"{path}: column {column!r}: {given!r} is not a number; only numbers can be averaged"
        )
    return numbers


def _shares(weights: list[float] | None, n: int) -> np.ndarray:
    shares = np.ones(n) if weights is None else np.array(weights, dtype=np.float64)
    if len(shares) != n:
        raise InputError(f"--weights has {len(shares)} numbers for {n} files")
    if not np.isfinite(shares).all() or not shares.sum() > 0:
        raise InputError("--weights must be numbers whose sum is above zero")
    return shares / shares.sum()


def _task_of(columns: list[str], average: str) -> Task:
    """Columns of a file as a task: of probabilities, or of any numbers where these are averaged."""
    if average == "probability":
        settings = RegressionSettings(name="file", kind="regression", columns=columns)
    else:
        settings = BinarySettings(name="file", kind="binary", columns=columns)
    return KINDS[settings.kind](settings)
