"""How a step is cut, which all processes agree on, and what a lack of memory changes."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.errors import InputError
from auxfold.training.micro_batches import MicroBatchSplitter


class Lengths:
    """A data set that has nothing but the lengths of its rows."""

    def __init__(self, *lengths: int) -> None:
        self._lengths = np.array(lengths)

    def lengths(self) -> np.ndarray:
        return self._lengths


def make_splitter(*lengths: int, **options) -> MicroBatchSplitter:
    return MicroBatchSplitter(Lengths(*lengths), **{"max_tokens": 100, **options})


def split(splitter: MicroBatchSplitter, n_rows: int) -> list[list[int]]:
    return [rows.tolist() for rows in splitter.split(np.arange(n_rows))]


def test_rows_are_cut_by_padded_or_by_packed_tokens():
    assert split(make_splitter(50, 30, 20), 3) == [[0, 1], [2]]
    assert split(make_splitter(50, 30, 20, padding_free=True), 3) == [[0, 1, 2]]


def test_every_process_has_its_share_and_knows_the_others():
    splitter = make_splitter(60, 10, 60, 10, n_processes=2)
    assert split(splitter, 4) == [[0], [2]] and splitter.cuts(np.arange(4))
    other = make_splitter(60, 10, 60, 10, n_processes=2, process=1)
    assert split(other, 4) == [[1, 3]] and other.cuts(np.arange(4))
    assert split(other, 1) == [[0]] and not other.cuts(np.arange(1)), "a row to join with"


def test_the_largest_micro_batch_is_halved():
    splitter = make_splitter(10, 10, 9, 8, max_tokens=8192)
    splitter.halve(np.arange(4))
    assert splitter.max_tokens == splitter.reduced_to == 20
    assert split(splitter, 4) == [[0, 1], [2, 3]]
    assert splitter.notice is not None and "at most 20 tokens in a micro-batch" in splitter.notice
    splitter.halve(np.arange(4))
    assert splitter.max_tokens == 10 and split(splitter, 4) == [[0], [1], [2], [3]]
    with pytest.raises(InputError, match="a micro-batch of a single row of 10 tokens"):
        splitter.halve(np.arange(4))


def test_a_single_long_row_does_not_keep_the_others_from_being_halved():
    splitter = make_splitter(90, 10, 10, 10)
    splitter.halve(np.arange(4))
    assert splitter.max_tokens == 15


def test_several_processes_stop():
    splitter = make_splitter(10, 10, 10, 10, n_processes=2, process=1)
    with pytest.raises(InputError) as error:
        splitter.halve(np.arange(4))
    assert "process 1 of 2 ran out of GPU memory, and all stop" in str(error.value)
    assert "--resume and --set train.max_tokens_per_batch=10 (the last" in str(error.value)


def test_what_is_remembered_does_not_exceed_the_setting():
    splitter = make_splitter(10, max_tokens=50)
    splitter.limit(None)
    assert splitter.max_tokens == 50 and splitter.reduced_to is None
    splitter.limit(80)
    assert splitter.max_tokens == 50
    splitter.limit(20)
    assert splitter.max_tokens == 20
