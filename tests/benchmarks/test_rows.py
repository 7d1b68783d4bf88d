"""Generated rows: their token counts are those asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from transformers import AutoTokenizer

from auxfold.errors import InputError
from benchmarks.backbones import random_backbone
from benchmarks.rows import (
    draw_token_counts,
    generate_rows,
    make_table,
    read_texts,
    single_token_words,
    thin_out,
)
from conftest import WORDS, make_tokenizer


def test_counts_have_the_mean_and_the_limits_and_are_reproducible():
    counts = draw_token_counts(5000, mean=50, max_length=220, seed=3)
    assert counts.mean() == pytest.approx(50, abs=0.2)
    assert (counts.min(), counts.max()) == (3, 220)
    assert np.median(counts) == pytest.approx(35, abs=2)
    assert (counts == draw_token_counts(5000, mean=50, max_length=220, seed=3)).all()
    other = draw_token_counts(5000, mean=50, max_length=220, seed=4)
    assert (counts != other).any() and (np.sort(counts) == np.sort(other)).all()


def test_an_impossible_mean_is_refused():
    with pytest.raises(InputError, match="a mean of 300 tokens with at most 220; expected"):
        draw_token_counts(10, mean=300)


@pytest.mark.parametrize("architecture", ["tiny"])
def test_texts_have_these_token_counts(tmp_path, architecture):
    tokenizer = AutoTokenizer.from_pretrained(random_backbone(architecture, tmp_path))
    texts = generate_rows(300, tokenizer, mean=20, max_length=60, seed=1)
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    assert lengths == draw_token_counts(300, 20, 60, seed=1).tolist()
    assert texts == generate_rows(300, tokenizer, mean=20, max_length=60, seed=1)
    assert len(tokenizer) == 1000


def test_words_of_another_tokenizer_are_those_of_one_token():
    assert single_token_words(make_tokenizer()) == WORDS


def test_texts_of_a_file(tmp_path):
    path = str(tmp_path / "rows.csv")
    pd.DataFrame({"id": range(5), "text": list("abcde")}).to_csv(path, index=False)
    texts = read_texts(path, "text", 3)
    assert len(texts) == 3 and set(texts) < set("abcde")
    assert texts == read_texts(path, "text", 3)
    with pytest.raises(InputError, match="has no column 'txt' .did you mean 'text'"):
        read_texts(path, "txt", 3)
    with pytest.raises(InputError, match="no file nowhere.csv"):
        read_texts(str(Path("nowhere.csv")), "text", 3)


def test_a_table_has_random_labels():
    table = make_table(["a", "b"] * 500, n_labels=6)
    assert table.labels.shape == (1000, 6)
    assert table.labels.mean() == pytest.approx(0.1, abs=0.02)
    assert table.texts == [["a", "b"] * 500]


def test_thinning_keeps_the_distribution():
    lengths = np.arange(100)[::-1]
    assert thin_out(lengths, 4).tolist() == [12, 37, 62, 87]
    assert thin_out(lengths, 100).tolist() == list(range(100))
