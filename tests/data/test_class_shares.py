"""Shares and votes of a label are read as they are, or refused with their row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.config import MulticlassSettings
from auxfold.data.labels import parse_labels
from auxfold.errors import InputError


def read(rows: list[tuple[str, str]], **keys: object) -> np.ndarray:
    task = MulticlassSettings(name="t", kind="multiclass", columns=["a", "b"], **keys)
    return parse_labels(pd.DataFrame(rows, columns=["a", "b"]), task, "t.csv").values


def test_shares_sum_to_one_within_rounding():
    shares = read([("0.25", "0.75"), ("", ""), ("0.333", "0.6665")])
    np.testing.assert_allclose(shares[0], [0.25, 0.75])
    assert np.isnan(shares[1]).all()
    assert shares[2].sum() == pytest.approx(1.0, abs=1e-12)


def test_votes_are_divided_by_their_sum():
    np.testing.assert_allclose(
        read([("3", "1"), ("0", "2")], normalize_votes=True), [[0.75, 0.25], [0, 1]]
    )


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        ([("0.5", "0.5"), ("0.5", "")], {}, r"column 'b', row 2: the cell is empty.*leave all"),
        ([("1.5", "-0.5")], {}, r"column 'b', row 1: -0.5 is no share"),
        ([("3", "1")], {}, r"row 1: the numbers sum to 4.*normalize_votes = true"),
        ([("1", "0"), ("0", "0")], {"normalize_votes": True}, r"row 2: .*at least one vote"),
        ([("x", "0")], {}, r"column 'a', row 1: 'x' is not a number"),
    ],
)
def test_what_is_no_share_is_refused_with_its_row(rows, keys, message):
    with pytest.raises(InputError, match=message):
        read(rows, **keys)
