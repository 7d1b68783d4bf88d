"""Multilabel-stratified folds in which groups and duplicate texts never straddle a fold.

Rows that must stay together form one unit: rows of one group, rows whose texts differ only in case,
white space and punctuation, and, if asked for, rows of near-equal texts. Units of several rows are
assigned first, from the largest to the smallest. Each goes to the fold that comes nearest to an
even share of every label, as in scikit-learn's ``StratifiedGroupKFold`` for one label. Iterative
stratification (Sechidis, Tsoumakas and Vlahavas 2011) then distributes the single rows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pandas as pd

from auxfold.data.table import Table
from auxfold.errors import InputError

_NOT_WORD = re.compile(r"[\W_]+", re.UNICODE)
# Of different texts that near-equal ones may join to one group, at least twenty in a small table.
MAX_GROUP_SHARE = 0.01
MIN_GROUP_LIMIT = 20
SHOWN = 10  # ids of a group that is refused


def make_folds(
    table: Table,
    strata: np.ndarray,
    n_splits: int,
    group_duplicates: bool,
    seed: int,
    shares: np.ndarray | None = None,
    near_duplicates: float | None = None,
) -> np.ndarray:
    """The fold of every row, ``(rows,)`` int in ``[0, n_splits)``, reproducible from the seed.

    Args:
        table: the rows to divide.
        strata: ``(rows, columns)`` numbers; every fold gets an even share of those ``>= 0.5``. NaN:
            unlabeled.
        n_splits: the number of folds.
        group_duplicates: whether equal texts stay together.
        seed: of the random choices.
        shares: ``(n_splits,)`` share of the rows in each fold; None: equal shares.
        near_duplicates: the Jaccard similarity from which texts stay together; None: equal ones.

    Raises:
        InputError: fewer units than folds, or a group of near-equal texts is too large.
    """
    units = row_units(table, group_duplicates, near_duplicates)
    if units.max() + 1 < n_splits:
        raise InputError(
            f"{table.path}: {n_splits} folds need at least {n_splits} independent groups of rows, "
            f"found {units.max() + 1}; lower folds.n_splits or check data.group"
        )
    shares = np.full(n_splits, 1 / n_splits) if shares is None else shares
    flags = binarize_strata(strata)
    sizes = np.bincount(units)
    folds = np.full(len(table), -1)
    large_units = np.flatnonzero(sizes > 1)
    if len(large_units):
        unit_folds = _assign_units(large_units, units, flags, sizes, shares, seed)
        in_large_unit = np.isin(units, large_units)
        folds[in_large_unit] = unit_folds[units[in_large_unit]]
    single = np.flatnonzero(folds < 0)
    if len(single):
        folds[single] = _assign_single_rows(flags[single], folds, shares, seed)
    return folds


def make_validation_split(
    table: Table,
    strata: np.ndarray,
    size: float | int,
    group_duplicates: bool,
    seed: int,
    near_duplicates: float | None = None,
) -> np.ndarray:
    """``(rows,)`` int, 0 for validation rows and -1 for training rows, stratified like folds.

    Args:
        table: the rows to divide.
        strata: as in :func:`make_folds`.
        size: the share (float) or the number (int) of validation rows, as scikit-learn's
            ``test_size``; groups and duplicates may change it by a few rows.
        group_duplicates: whether equal texts stay together.
        seed: of the random choices.
        near_duplicates: as in :func:`make_folds`.

    Raises:
        InputError: no row is left to train on or to validate on, or too few units.
    """
    share = size if isinstance(size, float) else size / len(table)
    if share >= 1:
        raise InputError(
            f"{table.path}: folds.validation = {size} leaves none of {len(table)} rows to train on"
        )
    shares = np.array([share, 1 - share])
    folds = make_folds(table, strata, 2, group_duplicates, seed, shares, near_duplicates)
    if not (folds == 0).any():
        raise InputError(f"{table.path}: folds.validation = {size} is not even one row")
    return np.where(folds == 0, 0, -1)


def stratified_sample_indices(strata: np.ndarray, n: int, seed: int) -> np.ndarray:
    """About ``n`` indices in file order, sampled so that every label keeps its share.

    Args:
        strata: as in :func:`make_folds`.
        n: the number of rows to sample.
        seed: of the random choices.
    """
    random = np.random.RandomState(seed)
    order = random.permutation(len(strata))
    shares = np.array([n, len(strata) - n]) / len(strata)
    parts = _stratify(binarize_strata(strata)[order], shares, random)
    return np.sort(order[parts == 0])


def binarize_strata(strata: np.ndarray) -> np.ndarray:
    """``(rows, flags)`` bool to stratify by: every number ``>= 0.5``, then "is labeled".

    Only a column that some rows lack has a flag "is labeled". Soft labels are binarized here, since
    ``iterative-stratification`` would cast them to ``> 0``.
    """
    flags = [np.nan_to_num(strata, nan=0.0) >= 0.5]
    missing = np.isnan(strata)
    partly_missing = missing.any(axis=0) & ~missing.all(axis=0)
    flags.append(~missing[:, partly_missing])
    return np.concatenate(flags, axis=1)


def row_units(
    table: Table, group_duplicates: bool, near_duplicates: float | None = None
) -> np.ndarray:
    """The unit of every row, ``(rows,)`` int; a common group or an equal text connects rows.

    Args:
        table: the rows.
        group_duplicates: whether equal texts connect rows.
        near_duplicates: the Jaccard similarity from which near-equal texts do so, too.

    Raises:
        InputError: a group of near-equal texts is too large.
    """
    keys = [] if table.groups is None else [pd.factorize(_separate_empty_groups(table.groups))[0]]
    if group_duplicates:
        numbers, texts = pd.factorize(np.array(duplicate_keys(table.texts), dtype=object))
        if near_duplicates is not None:
            from auxfold.data.near_duplicates import group_near_duplicates

            groups = group_near_duplicates(texts, near_duplicates)
            _refuse_large_group(table, numbers, groups, near_duplicates)
            numbers = groups[numbers]
        keys.append(pd.factorize(numbers)[0])
    if not keys:
        return np.arange(len(table))
    if len(keys) == 1:
        return keys[0]
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    # In a graph whose nodes are rows, groups and texts, the units are the connected components.
    rows = np.arange(len(table))
    first, second = len(table) + keys[0], len(table) + keys[0].max() + 1 + keys[1]
    n_nodes = int(second.max()) + 1
    edges = (np.tile(rows, 2), np.concatenate([first, second]))
    graph = coo_matrix((np.ones(2 * len(rows)), edges), shape=(n_nodes, n_nodes))
    return pd.factorize(connected_components(graph, directed=False)[1][: len(table)])[0]


def group_limit(n_rows: int) -> int:
    """How many different texts a group of near-equal ones may have."""
    return max(int(MAX_GROUP_SHARE * n_rows), MIN_GROUP_LIMIT)


def _refuse_large_group(
    table: Table, numbers: np.ndarray, groups: np.ndarray, similarity: float
) -> None:
    """Refuse a group of near-equal texts that would make folds uneven.

    Args:
        table: the rows.
        numbers: ``(rows,)`` the number of each row's text.
        groups: ``(texts,)`` the group of each text.
        similarity: from which texts are near-equal.
    """
    sizes = np.bincount(groups)
    largest = int(np.argmax(sizes))
    if sizes[largest] <= group_limit(len(table)):
        return
    ids = table.ids[groups[numbers] == largest]
    raise InputError(
        f"{table.path}: folds.group_near_duplicates = {similarity:g} joins {sizes[largest]:,} "
        f"different texts in one group ({len(ids) / len(table):.1%} of the rows: ids "
        f"{', '.join(ids[:SHOWN])}{', …' if len(ids) > SHOWN else ''}), more than the "
        f"{group_limit(len(table)):,} that folds can be divided by; raise it, or leave it out; "
        f"auxfold find-duplicates lists the whole group"
    )


def _separate_empty_groups(groups: np.ndarray) -> np.ndarray:
    """The groups, where every row with an empty group gets a group of its own."""
    # The last None keeps numpy from making a two-dimensional array.
    single = np.array([("row", i) for i in range(len(groups))] + [None], dtype=object)[:-1]
    return np.where(groups == "", single, groups)


def duplicate_keys(texts: Sequence[Sequence[str]]) -> list[str]:
    """A key per row; rows whose texts differ in case, white space and punctuation only share it.

    Args:
        texts: one sequence of ``(rows,)`` strings per text column.
    """
    return ["\x1f".join(normalize_text(text) for text in row) for row in zip(*texts, strict=True)]


def normalize_text(text: str) -> str:
    """The text without case, white space and punctuation, or the text itself if nothing remains."""
    letters = _NOT_WORD.sub("", unicodedata.normalize("NFKC", text).casefold())
    return letters or text.strip()


def _assign_units(
    large_units: np.ndarray,
    units: np.ndarray,
    flags: np.ndarray,
    sizes: np.ndarray,
    shares: np.ndarray,
    seed: int,
) -> np.ndarray:
    """``(units,)`` folds, -1 for single rows: greedy, largest unit first, to the evenest fold."""
    counts = np.zeros((len(sizes), flags.shape[1] + 1))
    np.add.at(counts, units, np.column_stack([flags, np.ones(len(flags))]))
    totals = np.maximum(counts.sum(axis=0), 1.0)
    order = np.random.RandomState(seed).permutation(large_units)
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_shares = np.zeros((len(shares), counts.shape[1]))
    targets = shares - shares.mean()
    unit_folds = np.full(len(sizes), -1)
    for unit in order:
        share = counts[unit] / totals
        # With t_f the share that fold f should have, adding a unit of share s raises the squared
        # deviation by 2 (f - t_f)·s + const. The fold with the smallest increase gets the unit.
        fold = int(np.argmin(fold_shares @ share - targets * share.sum()))
        fold_shares[fold] += share
        unit_folds[unit] = fold
    return unit_folds


def _assign_single_rows(
    flags: np.ndarray, folds: np.ndarray, shares: np.ndarray, seed: int
) -> np.ndarray:
    """Folds of the single rows, chosen so that each fold has its share of all rows."""
    assigned = np.bincount(folds[folds >= 0], minlength=len(shares))
    remaining = np.maximum(len(folds) * shares - assigned, 0.0)
    random = np.random.RandomState(seed)
    order = random.permutation(len(flags))
    single_folds = np.empty(len(flags), dtype=int)
    single_folds[order] = _stratify(flags[order], remaining / remaining.sum(), random)
    return single_folds


def _stratify(flags: np.ndarray, shares: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """``(rows,)`` the part of every row, so that each part has its share of every flag."""
    # Trainings import this module, too, and need neither this package nor scikit-learn.
    from iterstrat.ml_stratifiers import IterativeStratification

    parts: np.ndarray = IterativeStratification(flags, shares, random)
    return parts
