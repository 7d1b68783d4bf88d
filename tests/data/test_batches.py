"""Steps and batches: every row once, reproducible, within the token budget."""

from __future__ import annotations

import hypothesis
import numpy as np
from hypothesis import strategies as st

from auxfold.data.batches import split_by_packed_tokens, split_by_tokens, training_steps

lengths_strategy = st.lists(st.integers(2, 60), min_size=1, max_size=300)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(
    lengths=lengths_strategy, batch=st.integers(1, 16), bucket_steps=st.integers(1, 5)
)
def test_every_row_once_per_epoch_and_reproducible(lengths, batch, bucket_steps):
    lengths = np.array(lengths)
    steps = training_steps(lengths, batch, bucket_steps, seed=3, epoch=1)
    assert sorted(np.concatenate(steps)) == list(range(len(lengths)))
    assert len(steps) <= -(-len(lengths) // batch)
    assert max(len(step) for step in steps) <= batch
    again = training_steps(lengths, batch, bucket_steps, seed=3, epoch=1)
    assert all((a == b).all() for a, b in zip(steps, again, strict=True))


def test_epochs_and_seeds_differ():
    lengths = np.arange(2, 102)
    plans = [training_steps(lengths, 8, 4, s, e) for s, e in ((0, 0), (0, 1), (1, 0))]
    flat = [np.concatenate(plan).tolist() for plan in plans]
    assert flat[0] != flat[1] and flat[0] != flat[2]


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(lengths=lengths_strategy, budget=st.integers(1, 400))
def test_batches_keep_the_budget_and_every_row(lengths, budget):
    lengths = np.array(lengths)
    batches = split_by_tokens(np.arange(len(lengths)), lengths, budget)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for indices in batches:
        assert len(indices) == 1 or len(indices) * lengths[indices].max() <= budget


def test_packed_batches_hold_as_many_rows_as_their_tokens_allow():
    lengths = np.array([3, 9, 1, 4, 4, 2, 30])
    batches = split_by_packed_tokens(np.arange(7), lengths, 10)
    assert [batch.tolist() for batch in batches] == [[6], [1], [3, 4], [0, 5, 2]]
    some = split_by_packed_tokens(np.array([5, 2, 0]), lengths, 6)
    assert [batch.tolist() for batch in some] == [[0, 5, 2]]
    assert split_by_packed_tokens(np.arange(0), lengths, 10) == []
