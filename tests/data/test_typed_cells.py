"""The table of typed cells: every value as its exact text."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from auxfold.data.typed_cells import cell_text, check_exact_floats, column_text, series_text
from auxfold.data.typed_cells import values_text as texts_of

UTC = datetime.UTC
MOMENT = datetime.datetime(2020, 1, 2, 3, 4, 5, 120_000)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1344800117571260417, None, -1], pa.int64(), ["1344800117571260417", "", "-1"]),
        ([2**64 - 1, 0], pa.uint64(), ["18446744073709551615", "0"]),
        ([1.0, 2.5, None, 0.1, 1e-05], pa.float64(), ["1", "2.5", "", "0.1", "0.00001"]),
        ([1234567890123456.0, 1e20], pa.float64(), ["1234567890123456", "1e+20"]),
        ([float("nan"), None, float("inf")], pa.float64(), ["NaN", "", "inf"]),
        ([0.1, 16777216.0], pa.float32(), ["0.1", "16777216"]),
        ([True, None, False], pa.bool_(), ["true", "", "false"]),
        ([decimal.Decimal("1.50"), decimal.Decimal("0.00")], None, ["1.50", "0.00"]),
        ([decimal.Decimal("0.00000001")], None, ["0.00000001"]),
        ([decimal.Decimal(10**30)], pa.decimal128(38), ["1" + 30 * "0"]),
        ([datetime.date(2020, 1, 2), None], pa.date32(), ["2020-01-02", ""]),
        ([MOMENT], pa.timestamp("ns"), ["2020-01-02T03:04:05.12"]),
        ([MOMENT.replace(microsecond=0)], pa.timestamp("s"), ["2020-01-02T03:04:05"]),
        ([MOMENT], pa.timestamp("ms", "UTC"), ["2020-01-02T03:04:05.12+00:00"]),
        ([MOMENT], pa.timestamp("us", "Europe/Paris"), ["2020-01-02T04:04:05.12+01:00"]),
        ([MOMENT.time()], pa.time64("us"), ["03:04:05.12"]),
        ([datetime.timedelta(minutes=1, seconds=30)], pa.duration("ms"), ["90"]),
        (["NA", None, ""], pa.string(), ["NA", "", ""]),
        ([None, None], pa.null(), ["", ""]),
        ([["a", 'b"', None], None], pa.list_(pa.string()), ['["a", "b\\"", null]', ""]),
        ([[2.0, 0.5]], pa.list_(pa.float64()), ["[2, 0.5]"]),
        ([{"rude": 1, "calm": None}], None, ['{"rude": 1, "calm": null}']),
        ([[("é", 2**60)]], pa.map_(pa.string(), pa.int64()), ['{"é": 1152921504606846976}']),
    ],
)
def test_every_type_of_a_parquet_column(values, kind, expected):
    assert column_text(pa.array(values, kind), "x").to_pylist() == expected


def test_categories_are_their_values():
    column = pa.array([3, None, 3], pa.int64()).dictionary_encode()
    assert column_text(column, "x").to_pylist() == ["3", "", "3"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (float("nan"), ""),
        (pd.NaT, ""),
        (pd.NA, ""),
        (True, "true"),
        (np.bool_(False), "false"),
        (np.int64(2**62), "4611686018427387904"),
        (np.float32(0.1), "0.1"),
        (12.0, "12"),
        (1e-05, "0.00001"),
        (pd.Timestamp("2020-01-02 03:04:05.120"), "2020-01-02T03:04:05.12"),
        ({"a": [1, 2.5, None, True]}, '{"a": [1, 2.5, null, true]}'),
        (np.array([1, 0]), "[1, 0]"),
    ],
)
def test_every_type_of_a_python_value(value, expected):
    assert cell_text(value) == expected


def test_values_without_a_text_are_refused_with_their_row():
    with pytest.raises(ValueError, match=r"column 'x' holds bytes, not text \(row 2\)"):
        texts_of(["a", b"b"], "x")
    with pytest.raises(ValueError, match="column 'x', row 1: a value of the type object has no"):
        texts_of([object()], "x")
    with pytest.raises(ValueError, match=r"column 'x', row 2: the text holds '\\ud83d', which is"):
        texts_of(["a", "half \ud83d"], "x")
    invalid = pa.StringArray.from_buffers(
        2, pa.py_buffer(np.array([0, 1, 2], dtype=np.int32)), pa.py_buffer(b"a\xe9")
    )
    with pytest.raises(ValueError, match="column 'x', row 2: the text is not UTF-8"):
        column_text(invalid, "x")


def test_floats_that_have_lost_digits_of_an_integer_are_refused():
    with pytest.raises(ValueError, match=r"column 'x', row 2: 1\.3448001175712604e\+18 is a float"):
        check_exact_floats(pa.array([None, 1344800117571260417.0]), "x")
    check_exact_floats(pa.array([0.5, None, 2.0**53 - 1, 1e30, float("nan")]), "x")


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (pd.Series([12.0, None]), ["12", ""]),
        (pd.Series([1344800117571260417, None], dtype="Int64"), ["1344800117571260417", ""]),
        (pd.Series(["a", None, "NA"]), ["a", "", "NA"]),
        (pd.Series(["b", None], dtype="category"), ["b", ""]),
        (pd.Series(pd.to_datetime(["2020-01-02", None])), ["2020-01-02T00:00:00", ""]),
        (pd.Series([1, "x", None, 2.5], dtype=object), ["1", "x", "", "2.5"]),
        (pd.Series(pd.period_range("2020-01", periods=1)), None),
    ],
)
def test_pandas_columns(series, expected):
    if expected is None:
        with pytest.raises(ValueError, match="column 'x' holds pandas.period values, not text"):
            series_text(series.rename("x"))
    else:
        assert series_text(series).to_pylist() == expected
