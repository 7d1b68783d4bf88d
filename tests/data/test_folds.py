"""Folds: stratified on ``>= 0.5``, reproducible, and never split a group or a duplicate."""

from __future__ import annotations

import hypothesis
import numpy as np
from hypothesis import strategies as st

from auxfold.data.folds import binarize_strata, make_folds, normalize_text, row_units
from auxfold.data.table import Table
from conftest import make_frame


def make_table(texts, labels, groups=None) -> Table:
    n = len(texts)
    return Table(
        "t",
        np.array([str(i) for i in range(n)], dtype=object),
        [list(texts)],
        np.array(labels, dtype=np.float32).reshape(n, -1),
        np.ones(n, dtype=np.float32),
        {},
        None if groups is None else np.array(groups, dtype=object),
        np.empty((n, 0), dtype=np.float32),
    )


def stratified_folds(table: Table, n_splits: int, seed: int) -> np.ndarray:
    return make_folds(table, table.labels, n_splits, True, seed)


def test_flags_are_half_and_above_and_missing_is_its_own_flag():
    flags = binarize_strata(np.array([[0.5, np.nan], [0.49, 1.0], [0.2, 0.0]], dtype=np.float32))
    assert flags.tolist() == [[True, False, False], [False, True, True], [False, False, True]]


def test_soft_labels_are_stratified_at_half():
    # A quarter of the rows reach 0.5, all are above 0: a cast to bool would see one class.
    labels = np.where(np.arange(400) % 4 == 0, 0.6, 0.1)
    folds = stratified_folds(make_table([f"text {i}" for i in range(400)], labels), 5, 0)
    assert [int((labels[folds == f] >= 0.5).sum()) for f in range(5)] == [20] * 5
    assert np.bincount(folds).tolist() == [80] * 5


def test_equal_seed_equal_folds_and_another_seed_others():
    frame = make_frame(200)
    table = make_table(frame["text"], frame[["toxic", "threat"]].to_numpy())
    first, again, other = (stratified_folds(table, 5, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_duplicates_differ_in_case_space_and_punctuation_only():
    assert (
        normalize_text("Hello,  WORLD!")
        == normalize_text("hello world")
        != normalize_text("hello worlds")
    )
    assert normalize_text("?!") != normalize_text("…")
    table = make_table(["A b.", "a B", "c", "c!", "d"], [0, 1, 0, 1, 0])
    units = row_units(table, group_duplicates=True)
    assert units[0] == units[1] and units[2] == units[3] and len(set(units)) == 3
    assert len(set(row_units(table, group_duplicates=False))) == 5


def test_groups_and_duplicates_join_into_one_unit():
    # 0 and 1 share a text, 1 and 2 a group: all three stay together. Empty groups do not join.
    table = make_table(["x", "X", "y", "z", "w"], [0, 1, 0, 1, 0], ["", "g", "g", "", ""])
    units = row_units(table, group_duplicates=True)
    assert units[0] == units[1] == units[2]
    assert len(set(units)) == 3


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 1000), n_splits=st.integers(2, 6), n_groups=st.integers(12, 60)
)
def test_units_never_straddle_and_folds_stay_even(seed, n_splits, n_groups):
    random = np.random.default_rng(seed)
    groups = [f"g{g}" for g in random.integers(0, n_groups, 300)]
    texts = [f"text {t}" for t in random.integers(0, 280, 300)]
    labels = (random.random((300, 2)) < 0.3) * 1.0
    table = make_table(texts, labels, groups)
    units = row_units(table, True)
    if units.max() + 1 < n_splits:
        return
    folds = stratified_folds(table, n_splits, seed)
    for values in (groups, texts):
        for value in set(values):
            assert len(set(folds[[v == value for v in values]])) == 1
    largest = np.bincount(units).max()
    rows = np.bincount(folds, minlength=n_splits)
    assert rows.max() - rows.min() <= 2 * largest + n_splits
