"""Tokens are stored once and shared."""

from __future__ import annotations

import numpy as np

from auxfold.data.token_store import tokenize_column
from conftest import make_tokenizer


def test_tokens_are_stored_once_and_shared(tmp_path):
    tokenizer = make_tokenizer()
    tokenize_column(["the garden", "soup"], tokenizer, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    column = tokenize_column(["the garden", "soup"], tokenizer, tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")} == before
    assert isinstance(column.ids, np.memmap)
    tokenize_column(["the garden", "soup "], tokenizer, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
