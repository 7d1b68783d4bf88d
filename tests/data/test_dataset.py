"""Rows are encoded, truncated and padded as the tokenizer would do it."""

from __future__ import annotations

import numpy as np

from auxfold.data.dataset import SpecialTokenTemplate, TokenizedDataset
from auxfold.data.token_store import tokenize_column
from conftest import make_tokenizer


def make_dataset(tmp_path, *columns, **options) -> TokenizedDataset:
    tokenizer = make_tokenizer()
    stored = [tokenize_column(texts, tokenizer, tmp_path) for texts in columns]
    template = SpecialTokenTemplate.from_tokenizer(tokenizer, len(columns))
    return TokenizedDataset(stored, template, **options)


def batch_ids(dataset: TokenizedDataset, index: int) -> list[int]:
    return dataset.batch(np.array([index]))["input_ids"][0].tolist()


def test_one_text_is_encoded_as_the_tokenizer_would(tmp_path):
    texts = ["the garden is good", "bread", "", "silly goose nonsense soup " * 9]
    dataset = make_dataset(tmp_path, texts, max_length=12)
    tokenizer = make_tokenizer()
    for index, text in enumerate(texts):
        expected = tokenizer(text, truncation=True, max_length=12)["input_ids"]
        assert batch_ids(dataset, index) == expected
        assert dataset.lengths()[index] == len(expected)


def test_a_pair_is_encoded_as_the_tokenizer_would(tmp_path):
    first = ["the garden is good", "bread " * 20, "soup " * 9]
    second = ["rain", "rain was", "a " * 9]
    dataset = make_dataset(tmp_path, first, second, max_length=14)
    tokenizer = make_tokenizer()
    for index in range(3):
        expected = tokenizer(first[index], second[index], truncation="longest_first", max_length=14)
        batch = dataset.batch(np.array([index]))
        assert batch["input_ids"][0].tolist() == expected["input_ids"]
        assert batch["token_type_ids"][0].tolist() == expected["token_type_ids"]


def test_head_tail_keeps_both_ends(tmp_path):
    text = " ".join(["the", "a", "garden", "train", "bread", "council", "rain", "good"])
    dataset = make_dataset(
        tmp_path, [text], max_length=7, truncation="head_tail", head_fraction=0.6
    )
    ids = make_tokenizer()(text, add_special_tokens=False)["input_ids"]
    assert batch_ids(dataset, 0) == [2, *ids[:3], *ids[-2:], 3]


def test_padding_is_on_the_right_and_masked(tmp_path):
    dataset = make_dataset(tmp_path, ["the", "the garden is good"], max_length=12)
    batch = dataset.batch(np.array([0, 1]))
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0], [1] * 6]
    assert batch["input_ids"][0, 3:].tolist() == [0, 0, 0]
