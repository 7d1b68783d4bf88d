"""Batches: every row once, reproducible, within the token budget, truncated as asked."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from auxfold.data.batches import split_by_tokens, training_steps
from auxfold.data.dataset import SpecialTokenTemplate, TokenizedDataset
from auxfold.data.token_store import tokenize_column
from conftest import make_tokenizer

lengths_strategy = st.lists(st.integers(2, 60), min_size=1, max_size=300)


@settings(max_examples=50, deadline=None)
@given(lengths=lengths_strategy, batch=st.integers(1, 16), window=st.integers(1, 5))
def test_every_row_once_per_epoch_and_reproducible(lengths, batch, window):
    lengths = np.array(lengths)
    steps = training_steps(lengths, batch, window, seed=3, epoch=1)
    assert sorted(np.concatenate(steps)) == list(range(len(lengths)))
    assert len(steps) <= -(-len(lengths) // batch)
    assert max(len(step) for step in steps) <= batch
    again = training_steps(lengths, batch, window, seed=3, epoch=1)
    assert all((a == b).all() for a, b in zip(steps, again, strict=True))


def test_epochs_and_seeds_differ():
    lengths = np.arange(2, 102)
    plans = [training_steps(lengths, 8, 4, s, e) for s, e in ((0, 0), (0, 1), (1, 0))]
    flat = [np.concatenate(plan).tolist() for plan in plans]
    assert flat[0] != flat[1] and flat[0] != flat[2]


@settings(max_examples=50, deadline=None)
@given(lengths=lengths_strategy, budget=st.integers(1, 400))
def test_cut_keeps_the_budget_and_every_row(lengths, budget):
    lengths = np.array(lengths)
    batches = split_by_tokens(np.arange(len(lengths)), lengths, budget)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= budget


def rows_of(tmp_path, *columns, **options) -> TokenizedDataset:
    tokenizer = make_tokenizer()
    stored = [tokenize_column(texts, tokenizer, tmp_path) for texts in columns]
    return TokenizedDataset(stored, SpecialTokenTemplate.from_tokenizer(tokenizer, len(columns)), **options)


def ids_of(rows: TokenizedDataset, row: int) -> list[int]:
    return rows.batch(np.array([row]))["input_ids"][0].tolist()


def test_one_text_is_encoded_as_the_tokenizer_would(tmp_path):
    texts = ["the garden is good", "bread", "", "silly goose nonsense soup " * 9]
    rows = rows_of(tmp_path, texts, max_length=12)
    tokenizer = make_tokenizer()
    for row, text in enumerate(texts):
        expected = tokenizer(text, truncation=True, max_length=12)["input_ids"]
        assert ids_of(rows, row) == expected
        assert rows.lengths()[row] == len(expected)


def test_a_pair_is_encoded_as_the_tokenizer_would(tmp_path):
    first = ["the garden is good", "bread " * 20, "soup " * 9]
    second = ["rain", "rain was", "a " * 9]
    rows = rows_of(tmp_path, first, second, max_length=14)
    tokenizer = make_tokenizer()
    for row in range(3):
        expected = tokenizer(first[row], second[row], truncation="longest_first", max_length=14)
        batch = rows.batch(np.array([row]))
        assert batch["input_ids"][0].tolist() == expected["input_ids"]
        assert batch["token_type_ids"][0].tolist() == expected["token_type_ids"]


def test_head_tail_keeps_both_ends(tmp_path):
    text = " ".join(["the", "a", "garden", "train", "bread", "council", "rain", "good"])
    rows = rows_of(tmp_path, [text], max_length=7, truncation="head_tail", head_fraction=0.6)
    bare = make_tokenizer()(text, add_special_tokens=False)["input_ids"]
    assert ids_of(rows, 0) == [2, *bare[:3], *bare[-2:], 3]


def test_padding_is_on_the_right_and_masked(tmp_path):
    rows = rows_of(tmp_path, ["the", "the garden is good"], max_length=12)
    batch = rows.batch(np.array([0, 1]))
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0], [1] * 6]
    assert batch["input_ids"][0, 3:].tolist() == [0, 0, 0]


def test_tokens_are_stored_once_and_shared(tmp_path):
    tokenizer = make_tokenizer()
    tokenize_column(["the garden", "soup"], tokenizer, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    column = tokenize_column(["the garden", "soup"], tokenizer, tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")} == before
    assert isinstance(column.ids, np.memmap)
    tokenize_column(["the garden", "soup "], tokenizer, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
