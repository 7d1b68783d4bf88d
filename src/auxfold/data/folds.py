"""Multilabel-stratified folds in which groups and duplicate texts never straddle a fold.

Rows that must stay together (same group, or equal texts but for case, white space and
punctuation) form one unit. Units of several rows are placed first, largest first, each on the
fold that is then nearest to an even share of every label (as scikit-learn's
``StratifiedGroupKFold`` does for one label); single rows fill the rest by iterative
stratification (Sechidis, Tsoumakas and Vlahavas 2011).
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pandas as pd
from iterstrat.ml_stratifiers import IterativeStratification
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from auxfold.data.table import Table
from auxfold.errors import InputError

_NOT_WORD = re.compile(r"[\W_]+", re.UNICODE)


def make_folds(
    table: Table,
    strata: np.ndarray,
    n_splits: int,
    group_duplicates: bool,
    seed: int,
    shares: np.ndarray | None = None,
) -> np.ndarray:
    """The fold of every row, ``(rows,)`` int in ``[0, n_splits)``; equal for an equal seed.

    Args:
        table: whose rows are divided.
        strata: ``(rows, flags)`` numbers whose ``>= 0.5`` is spread evenly; NaN: unlabelled.
        n_splits: how many folds.
        group_duplicates: whether equal texts stay together.
        seed: of the random choices.
        shares: ``(n_splits,)`` of the rows in each fold; equal ones where None.

    Raises:
        InputError: fewer units than folds.
    """
    units = row_units(table, group_duplicates)
    if units.max() + 1 < n_splits:
        raise InputError(
            f"{table.path}: {n_splits} folds need at least {n_splits} independent groups of rows, "
            f"found {units.max() + 1}; lower folds.n_splits or check data.group"
        )
    shares = np.full(n_splits, 1 / n_splits) if shares is None else shares
    flags = label_flags(strata)
    sizes = np.bincount(units)
    folds = np.full(len(table), -1)
    several = np.flatnonzero(sizes > 1)
    if len(several):
        unit_folds = _place_units(several, units, flags, sizes, shares, seed)
        chosen = np.isin(units, several)
        folds[chosen] = unit_folds[units[chosen]]
    single = np.flatnonzero(folds < 0)
    if len(single):
        folds[single] = _fill_rows(flags[single], folds, shares, seed)
    return folds


def one_split(
    table: Table, strata: np.ndarray, rows: float | int, group_duplicates: bool, seed: int
) -> np.ndarray:
    """0 for rows to validate on and -1 for all others, ``(rows,)``; stratified like folds.

    Args:
        table: whose rows are divided.
        strata: as in :func:`make_folds`.
        rows: a share of the rows, or how many; groups and duplicates move it by a few.
        group_duplicates: whether equal texts stay together.
        seed: of the random choices.

    Raises:
        InputError: more rows than there are, or too few units.
    """
    share = rows if isinstance(rows, float) else rows / len(table)
    if share >= 1:
        raise InputError(
            f"{table.path}: folds.validation = {rows} leaves none of {len(table)} rows to train on"
        )
    shares = np.array([share, 1 - share])
    made = make_folds(table, strata, 2, group_duplicates, seed, shares)
    if not (made == 0).any():
        raise InputError(f"{table.path}: folds.validation = {rows} is not even one row")
    return np.where(made == 0, 0, -1)


def draw_rows(strata: np.ndarray, n: int, seed: int) -> np.ndarray:
    """About ``n`` row numbers in file order, drawn so that every flag keeps its share."""
    random = np.random.RandomState(seed)
    order = random.permutation(len(strata))
    shares = np.array([n, len(strata) - n]) / len(strata)
    sides = IterativeStratification(label_flags(strata)[order], shares, random)
    return np.sort(order[sides == 0])


def label_flags(strata: np.ndarray) -> np.ndarray:
    """``(rows, flags)`` booleans to stratify: each number ``>= 0.5``, and "is labelled" where some
    rows are not. Soft labels are binarised here, since the library would cast them to ``> 0``.
    """
    flags = [np.nan_to_num(strata, nan=0.0) >= 0.5]
    missing = np.isnan(strata)
    partly = missing.any(axis=0) & ~missing.all(axis=0)
    flags.append(~missing[:, partly])
    return np.concatenate(flags, axis=1)


def row_units(table: Table, group_duplicates: bool) -> np.ndarray:
    """The unit of every row, ``(rows,)`` int: connected by group or by equal text."""
    keys = [] if table.groups is None else [pd.factorize(_own_if_empty(table.groups))[0]]
    if group_duplicates:
        keys.append(pd.factorize(np.array(_duplicate_keys(table.texts), dtype=object))[0])
    if not keys:
        return np.arange(len(table))
    if len(keys) == 1:
        return keys[0]
    # Two relations: rows and both kinds of keys are nodes, units are connected components.
    rows = np.arange(len(table))
    first, second = len(table) + keys[0], len(table) + keys[0].max() + 1 + keys[1]
    nodes = int(second.max()) + 1
    edges = (np.tile(rows, 2), np.concatenate([first, second]))
    graph = coo_matrix((np.ones(2 * len(rows)), edges), shape=(nodes, nodes))
    return pd.factorize(connected_components(graph, directed=False)[1][: len(table)])[0]


def shared_texts(table: Table) -> int:
    """How many rows of a validation file have a text that stands in the training file too."""
    if table.held_out is None:
        return 0
    keys = np.array(_duplicate_keys(table.texts), dtype=object)
    return int(np.isin(keys[table.held_out], keys[~table.held_out]).sum())


def _own_if_empty(groups: np.ndarray) -> np.ndarray:
    """An empty group is no group: such rows stay on their own."""
    own = np.array([("row", i) for i in range(len(groups))] + [None], dtype=object)[:-1]
    return np.where(groups == "", own, groups)


def _duplicate_keys(texts: list[list[str]]) -> list[str]:
    return ["\x1f".join(normalize(text) for text in row) for row in zip(*texts, strict=True)]


def normalize(text: str) -> str:
    """The text without case, white space and punctuation; the text itself if nothing remains."""
    bare = _NOT_WORD.sub("", unicodedata.normalize("NFKC", text).casefold())
    return bare or text.strip()


def _place_units(
    several: np.ndarray,
    units: np.ndarray,
    flags: np.ndarray,
    sizes: np.ndarray,
    shares: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Fold per unit (``-1`` for single rows): greedy, largest first, most even fold wins."""
    counts = np.zeros((len(sizes), flags.shape[1] + 1))
    np.add.at(counts, units, np.column_stack([flags, np.ones(len(flags))]))
    totals = np.maximum(counts.sum(axis=0), 1.0)
    order = np.random.RandomState(seed).permutation(several)
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros((len(shares), counts.shape[1]))
    wanted = shares - shares.mean()
    placed = np.full(len(sizes), -1)
    for unit in order:
        share = counts[unit] / totals
        # With t_f the share that fold f should have, adding a unit raises the squared deviation
        # by 2 (f - t_f)·s + const: the least wins.
        fold = int(np.argmin(filled @ share - wanted * share.sum()))
        filled[fold] += share
        placed[unit] = fold
    return placed


def _fill_rows(flags: np.ndarray, folds: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """Folds of the single rows, so that all folds together have their shares of the rows."""
    taken = np.bincount(folds[folds >= 0], minlength=len(shares))
    wanted = np.maximum(len(folds) * shares - taken, 0.0)
    random = np.random.RandomState(seed)
    order = random.permutation(len(flags))
    made = np.empty(len(flags), dtype=int)
    made[order] = IterativeStratification(flags[order], wanted / wanted.sum(), random)
    return made
