"""Tables with other ids are refused, with counts, examples and both files in the message."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from auxfold.data.ids import check_ids_present, check_same_ids, check_unique_ids
from auxfold.errors import InputError


def test_equal_ids_pass_in_any_order_and_type():
    check_unique_ids(["a", "b"], "a.csv")
    check_same_ids(np.array(["a", "b"], dtype=object), pd.Series(["b", "a"]), "a.csv", "b.csv")
    check_ids_present(["a"], pd.Index(["b", "a"]), "a.csv", "b.csv")


def test_a_repeated_id_is_named():
    expected = "a.csv: id 'b' is in more than one row (3 rows share their id with another)"
    with pytest.raises(InputError, match=re.escape(expected)):
        check_unique_ids(["a", "b", "b", "b"], "a.csv")


def test_missing_and_unexpected_ids_are_counted_with_examples():
    ids = [f"i{number}" for number in range(5)]
    with pytest.raises(InputError) as caught:
        check_same_ids(ids, ["i0", "x"], "a.csv", "b.csv", "take the same rows")
    assert str(caught.value) == (
        "b.csv does not hold the ids of a.csv: of 5 ids it lacks 4 and has 1 others; "
        "missing: 'i1', 'i2', 'i3', …; unexpected: 'x'; take the same rows"
    )
    with pytest.raises(InputError, match=r"of 2 ids it lacks 0 and has 1 others; unexpected: 'c'$"):
        check_same_ids(["a", "b"], ["a", "b", "c"], "a.csv", "b.csv")


def test_only_a_table_without_any_required_id_gets_the_advice():
    with pytest.raises(InputError, match=r"^b.csv lacks 1 of the 2 ids of a.csv; missing: 'b'$"):
        check_ids_present(["a", "b"], ["a"], "a.csv", "b.csv", "predict a.csv")
    with pytest.raises(InputError, match=r"lacks 2 of the 2 ids.*; predict a.csv$"):
        check_ids_present(["a", "b"], ["c"], "a.csv", "b.csv", "predict a.csv")
