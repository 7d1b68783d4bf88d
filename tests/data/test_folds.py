"""Folds: stratified on ``>= 0.5``, reproducible, and never split a group or a duplicate."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from auxfold.data.folds import (
    binarize_strata,
    make_folds,
    make_validation_split,
    normalize_text,
    row_units,
)
from auxfold.data.table import Table
from auxfold.errors import InputError
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


SENTENCE = "The quick brown fox jumps over the lazy dog and runs into the deep forest."


def test_near_equal_texts_stay_together_only_if_asked_for():
    texts = [SENTENCE, SENTENCE.replace("quick", "quiet"), SENTENCE.upper() + "!", "Rain fell."]
    table = make_table(texts, [0, 1, 0, 1])
    assert row_units(table, True).tolist() == [0, 1, 0, 2]
    assert row_units(table, True, 0.8).tolist() == [0, 0, 0, 1]
    assert row_units(table, True, 0.95).tolist() == [0, 1, 0, 2]


def test_near_equal_texts_and_groups_join_into_one_unit():
    texts = [SENTENCE, SENTENCE.replace("quick", "quiet"), "Rain fell.", "Snow fell."]
    table = make_table(texts, [0, 1, 0, 1], ["", "g", "g", ""])
    assert row_units(table, True, 0.8).tolist() == [0, 0, 0, 1]


def make_near_equal_table(n_originals: int = 60) -> Table:
    """Texts, and as many with one other word, in random order; row i and i + n belong together."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(list("abcdefgh"), 60)) for _ in range(n_originals)]
    texts += [text[:20] + "z" + text[21:] for text in texts]
    return make_table(texts, random.random(2 * n_originals) < 0.3)


@pytest.mark.parametrize("seed", range(3))
def test_folds_and_a_validation_split_keep_near_equal_texts_together(seed):
    table = make_near_equal_table()
    folds = make_folds(table, table.labels, 5, True, seed, near_duplicates=0.8)
    assert (folds[:60] == folds[60:]).all()
    assert set(np.bincount(folds)) <= {22, 24, 26}
    part = make_validation_split(table, table.labels, 0.2, True, seed, near_duplicates=0.8)
    assert (part[:60] == part[60:]).all() and 22 <= (part == 0).sum() <= 26
    apart = make_folds(table, table.labels, 5, True, seed)
    assert (apart[:60] != apart[60:]).any()


def test_a_group_of_more_texts_than_one_percent_is_refused_by_its_ids():
    random = np.random.default_rng(0)
    letters = "".join(random.choice(list("abcdefgh"), 700))
    chain = [letters[start : start + 200] for start in range(0, 24 * 20, 20)]  # each like the next
    others = ["".join(random.choice(list("abcdefgh"), 50)) for _ in range(2_376)]
    table = make_table([*others, *chain[:24]], [0] * 2_400)
    assert np.bincount(row_units(table, True, 0.8)).max() == 24  # 1 % of 2,400 rows
    table = make_table([*others[1:], *chain, letters[480:680]], [0] * 2_400)
    with pytest.raises(InputError) as error:
        row_units(table, True, 0.8)
    message = str(error.value)
    assert "folds.group_near_duplicates = 0.8 joins 25 different texts" in message
    assert "ids 2375, 2376, 2377, 2378, 2379, 2380, 2381, 2382, 2383, 2384, …" in message
    assert "more than the 24 that" in message and letters[:20] not in message


def test_copies_of_a_text_count_once_for_the_limit():
    table = make_table([SENTENCE] * 50 + [SENTENCE.replace("quick", "quiet")], [0] * 51)
    assert set(row_units(table, True, 0.8)) == {0}
