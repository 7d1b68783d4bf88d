"""A first row of data is told from a row of names."""

from __future__ import annotations

import pytest

from auxfold.data.files import describe_format
from auxfold.data.header import header_looks_like_data

TEXT = "this is a sentence of words"
COMMENTS = [f"sentence number {n} of the file" for n in range(9)]


@pytest.mark.parametrize(
    ("header", "columns", "expected"),
    [
        (["spam", TEXT], [["ham", "spam", "ham"] * 3, COMMENTS], True),
        (["0", TEXT], [["0", "4"] * 4 + ["0"], COMMENTS], True),
        (["17", "0.5", TEXT], [list("123456789"), ["0.25"] * 9, COMMENTS], True),
        (["id", "text"], [list("123456789"), COMMENTS], False),
        (["label", "text"], [["ham", "spam", "ham"] * 3, COMMENTS], False),
        (["text", "0", "1"], [COMMENTS, ["0", "1", "0"] * 3, ["1", "0", "0"] * 3], False),
        (["user", "city"], [list("abcdefghi"), list("abcdefghi")], False),
        (["What is your opinion of it", "label"], [COMMENTS, ["yes", "no", "no"] * 3], False),
        (["", "text"], [list("123456789"), COMMENTS], False),
    ],
)
def test_headers(header, columns, expected):
    assert header_looks_like_data(header, list(zip(*columns, strict=True))) is expected


def test_it_is_said_of_a_file(tmp_path):
    rows = "".join(f"{'spam' if n % 3 else 'ham'}\tmessage number {n} here\n" for n in range(9))
    (tmp_path / "messages.tsv").write_text(rows)
    assert describe_format(tmp_path / "messages.tsv") == [
        "warning: messages.tsv: the first row looks like data rather than names of columns "
        "('ham', 'message number 0 here'); put a row of names above it"
    ]
