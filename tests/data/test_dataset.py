"""Rows are encoded, truncated and padded as the tokenizer would do it."""

from __future__ import annotations

import hypothesis
import numpy as np
from hypothesis import strategies as st

from auxfold.data.dataset import TokenizedDataset
from auxfold.data.packing import Capacity
from auxfold.data.special_tokens import SpecialTokenTemplate
from auxfold.data.token_store import TokenColumn, tokenize_column
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


# Special tokens and token types of BERT, RoBERTa, DeBERTa's pairs, T5, GPT-2 and of no tokenizer
# in particular: before, between and after the texts.
TEMPLATES = {
    1: [
        ([[2], [3]], [[0], [0]]),
        ([[], [1]], [[], [0]]),
        ([[], []], [[], []]),
        ([[2, 7], [3, 8, 9]], [[0, 1], [1, 0, 1]]),
    ],
    2: [
        ([[2], [3], [3]], [[0], [0], [1]]),
        ([[0], [2, 2], [2]], [[0], [0, 0], [0]]),
        ([[], [1], [1]], [[], [0], [0]]),
        ([[], [], []], [[], [], []]),
    ],
}


@st.composite
def datasets(draw) -> TokenizedDataset:
    """Tokenized rows with every setting that a row depends on; some texts are empty."""
    n_texts, n_rows = draw(st.sampled_from([1, 2])), draw(st.integers(1, 12))
    segments, type_ids = draw(st.sampled_from(TEMPLATES[n_texts]))
    dtype = draw(st.sampled_from([np.uint16, np.uint32]))
    columns = []
    for _ in range(n_texts):
        lengths = draw(st.lists(st.integers(0, 15), min_size=n_rows, max_size=n_rows))
        random = np.random.default_rng(draw(st.integers(0, 99)))
        ids = random.integers(10, np.iinfo(dtype).max, sum(lengths), dtype=dtype, endpoint=True)
        frames = []
        if n_texts == 1 and draw(st.booleans()):
            counts = draw(st.lists(st.integers(0, 6), min_size=2 * n_rows, max_size=2 * n_rows))
            frames = np.split(np.array(counts), 2)
        columns.append(TokenColumn(ids, np.cumsum([0, *lengths]), *frames))
    template = SpecialTokenTemplate(
        segments, type_ids, [0, draw(st.sampled_from([0, 1]))][:n_texts],
        has_token_types=draw(st.booleans()), pad_token_id=6, empty_token_id=5,
    )  # fmt: skip
    return TokenizedDataset(
        columns,
        template,
        max_length=template.n_tokens + draw(st.integers(1, 40)),
        truncation=draw(st.sampled_from(["head", "head_tail", *["windows"][: 2 - n_texts]])),
        head_fraction=draw(st.sampled_from([0.0, 0.25, 0.5, 0.6, 1.0])),
        window_stride=draw(st.none() | st.integers(1, 9)),
    )


def encode_row(
    dataset: TokenizedDataset, index: int, swapped: bool, window: int
) -> tuple[list, list]:
    """Token ids and token types of one row, one token after the other."""
    texts = [column.row(index).tolist() for column in dataset.columns]
    texts = texts[::-1] if swapped else texts
    template = dataset.template
    if not template.n_tokens and not any(texts):
        return [template.empty_token_id], [0]
    room, budgets = dataset.max_length - template.n_tokens, [len(text) for text in texts]
    while sum(budgets) > room:  # a token less of the longer text, of two equal ones the first
        longer = int(np.argmax(budgets))
        if len(texts) == 2 and budgets[0] == budgets[1]:
            longer = 0 if len(texts[0]) <= len(texts[1]) else 1
        budgets[longer] -= 1
    ids, type_ids = [], []
    for number, segment in enumerate(template.segments):
        ids += segment
        type_ids += template.segment_type_ids[number]
        if number < len(texts):
            text, budget = texts[number], budgets[number]
            if len(text) > budget:
                text = truncate(text, budget, dataset, index, window)
            ids += text
            type_ids += [template.text_type_ids[number]] * len(text)
    return ids, type_ids


def truncate(text: list, budget: int, dataset: TokenizedDataset, index: int, window: int) -> list:
    """What a row keeps of a text that is longer than its budget, written down by hand."""
    before, after = (int(count) for count in np.ravel(dataset.columns[0].frame([index])))
    after = min(after, max(budget - 1, 0))
    before = min(before, max(budget - 1 - after, 0))
    room, end = budget - before - after, len(text) - after
    middle = text[before:end]
    if dataset.truncation == "windows":
        stride = room // 2 if dataset.window_stride is None else dataset.window_stride
        start = min(window * max(min(stride, room), 1), len(middle) - room)
        chosen = middle[start : start + room]
    else:
        fraction = dataset.head_fraction if dataset.truncation == "head_tail" else 1.0
        n_head = round(room * fraction)
        chosen = middle[:n_head] + middle[len(middle) - (room - n_head) :]
    return [*text[:before], *chosen, *text[end:]]


@hypothesis.settings(max_examples=400, deadline=None)
@hypothesis.given(dataset=datasets(), data=st.data())
def test_rows_equal_those_that_are_encoded_token_by_token(dataset, data):
    rows = st.lists(st.integers(0, len(dataset) - 1), min_size=1, max_size=9)
    indices = np.array(data.draw(rows))
    size = {"min_size": len(indices), "max_size": len(indices)}
    swapped = data.draw(st.booleans() | st.lists(st.booleans(), **size).map(np.array))
    flags = np.broadcast_to(swapped, len(indices))
    windows = data.draw(st.integers(0, 3) | st.lists(st.integers(0, 3), **size).map(np.array))
    numbers = np.broadcast_to(windows, len(indices))
    expected = [
        encode_row(dataset, i, swap, window)
        for i, swap, window in zip(indices, flags.tolist(), numbers.tolist(), strict=True)
    ]
    lengths = [len(ids) for ids, _ in expected]
    longest = max(lengths)
    batch = dataset.batch(indices, swapped, windows)
    padded = [ids + [6] * (longest - len(ids)) for ids, _ in expected]
    assert batch["input_ids"].tolist() == padded
    assert batch["attention_mask"].tolist() == [[1] * n + [0] * (longest - n) for n in lengths]
    has_token_types = dataset.template.has_token_types
    if has_token_types:
        padded = [type_ids + [0] * (longest - len(type_ids)) for _, type_ids in expected]
        assert batch["token_type_ids"].tolist() == padded
    assert ("token_type_ids" in batch) == has_token_types
    assert {str(values.dtype) for values in batch.values()} == {"torch.int64"}
    assert lengths == dataset.lengths()[indices].tolist()

    packed = dataset.packed(indices, swapped, windows=windows)
    assert packed.input_ids.tolist() == [i for ids, _ in expected for i in ids]
    if has_token_types:
        assert packed.token_type_ids.tolist() == [i for _, type_ids in expected for i in type_ids]
    assert (packed.token_type_ids is None) == (not has_token_types)
    assert packed.offsets.tolist() == np.cumsum([0, *lengths]).tolist()


def test_a_packed_batch_is_filled_up(tmp_path):
    dataset = make_dataset(tmp_path, ["the", "the garden is good"], max_length=12)
    packed = dataset.packed(np.array([1, 0]), capacity=Capacity(tokens=16, rows=6, max_length=6))
    words = dataset.columns[0].ids.tolist()
    assert packed.input_ids.tolist() == [2, *words[1:], 3, 2, words[0], 3, *[0] * 7]
    assert packed.offsets.tolist() == [0, 6, 9, 15, 16, 16, 16]
