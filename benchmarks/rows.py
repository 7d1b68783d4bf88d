"""Rows to measure with: texts of a file, or generated texts whose token counts are chosen."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from auxfold.data.table import Table
from auxfold.errors import InputError, nearest

# The spread of comments' lengths: with a mean of 50 tokens the median is 35, as in Civil Comments.
LOG_STD = 0.85
MIN_TOKENS = 3
SYLLABLES = [a + b for a in "bcdfghjklmnprstvwxyz" for b in "aeiou"]
VOCABULARY_SAMPLE = 30_000  # token ids that are tried for words


def draw_token_counts(
    n_rows: int, mean: float = 50.0, max_length: int = 220, seed: int = 0
) -> np.ndarray:
    """``(n_rows,)`` token counts, special tokens included, with the given mean.

    They are the evenly spaced quantiles of a log-normal distribution, clipped to 3 and
    ``max_length``, in random order. The same arguments give the same counts.

    Raises:
        InputError: no counts within these limits have that mean.
    """
    if not MIN_TOKENS <= mean < max_length:
        raise InputError(
            f"a mean of {mean:g} tokens with at most {max_length}; expected is a mean between "
            f"{MIN_TOKENS} and the maximum"
        )
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((i + 0.5) / n_rows) for i in range(n_rows)])

    def counts(log_median: float) -> np.ndarray:
        return np.exp(log_median + LOG_STD * quantiles).clip(MIN_TOKENS, max_length).round()

    low, high = 0.0, 2 * math.log(max_length)
    for _ in range(50):  # bisection: the mean of the clipped counts rises with the median
        middle = (low + high) / 2
        low, high = (middle, high) if counts(middle).mean() < mean else (low, middle)
    return np.random.default_rng(seed).permutation(counts(high)).astype(int)


def generate_texts(token_counts: np.ndarray, words: list[str], seed: int = 0) -> list[str]:
    """Texts of as many words as ``token_counts`` says, some of them much more frequent (Zipf)."""
    random = np.random.default_rng([seed, 1])
    shares = 1 / (np.arange(len(words)) + 10.0)
    edges = np.cumsum(shares / shares.sum())
    drawn = np.minimum(np.searchsorted(edges, random.random(token_counts.sum())), len(words) - 1)
    bounds = np.cumsum(token_counts)[:-1]
    return [" ".join(words[i] for i in row) for row in np.split(drawn, bounds)]


def single_token_words(tokenizer: Any) -> list[str]:
    """Words of which a tokenizer makes one token each behind another word.

    Raises:
        InputError: it has no such words.
    """
    n_tokens = min(len(tokenizer), VOCABULARY_SAMPLE)
    tokens = tokenizer.convert_ids_to_tokens(range(n_tokens))
    words = [str(token).lstrip("Ġ▁") for token in tokens]
    words = [word for word in dict.fromkeys(words) if word.isascii() and word.isalpha()]
    words = [word for word in words if word.islower()]
    first = len(tokenizer("a", add_special_tokens=False)["input_ids"])
    encoded = tokenizer([f"a {word}" for word in words] or ["a"], add_special_tokens=False)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    words = [word for word, n in zip(words, lengths, strict=False) if n == first + 1]
    if not words:
        raise InputError("the tokenizer has no lower-case words; give texts with --texts")
    return words


def generate_rows(
    n_rows: int, tokenizer: Any, mean: float = 50.0, max_length: int = 220, seed: int = 0
) -> list[str]:
    """Texts whose token counts are :func:`draw_token_counts` with the special tokens."""
    counts = draw_token_counts(n_rows, mean, max_length, seed)
    n_special = tokenizer.num_special_tokens_to_add()
    words = single_token_words(tokenizer)
    return generate_texts(np.maximum(counts - n_special, 1), words, seed)


def read_texts(path: str, column: str, n_rows: int, seed: int = 0) -> list[str]:
    """A random sample of the texts of a csv, tsv or parquet file.

    Raises:
        InputError: there is no such file or column.
    """
    import pandas as pd

    if not Path(path).is_file():
        raise InputError(f"no file {path} (--texts)")
    frame = (
        pd.read_parquet(path)
        if path.endswith(".parquet")
        else pd.read_csv(path, sep="\t" if ".tsv" in path else ",")
    )
    if column not in frame:
        raise InputError(
            f"{path} has no column {column!r}{nearest(column, map(str, frame))}; --text-column"
        )
    texts = frame[column].dropna().astype(str)
    return texts.sample(min(n_rows, len(texts)), random_state=seed).tolist()


def make_table(texts: list[str], n_labels: int, seed: int = 0) -> Table:
    """The texts with random labels, of which a tenth is positive.

    Args:
        texts: one text per row.
        n_labels: label columns.
        seed: seeds the labels.
    """
    n_rows = len(texts)
    labels = np.random.default_rng([seed, 2]).random((n_rows, n_labels)) < 0.1
    return Table(
        path="generated rows",
        ids=np.array([f"r{number}" for number in range(n_rows)], dtype=object),
        texts=[texts],
        labels=labels.astype(np.float32),
        sample_weights=np.ones(n_rows, dtype=np.float32),
        task_weights={},
        groups=None,
        identities=np.empty((n_rows, 0), dtype=np.float32),
    )


def write_table(table: Table, path: str | Path, label_columns: list[str]) -> None:
    """Write ids, texts and labels as a csv file."""
    import pandas as pd

    frame = pd.DataFrame(table.labels, columns=label_columns)
    frame.insert(0, "text", table.texts[0])
    frame.insert(0, "id", table.ids)
    frame.to_csv(path, index=False)


def thin_out(lengths: np.ndarray, n_rows: int) -> np.ndarray:
    """``n_rows`` positions with about the distribution of all lengths, in ascending order."""
    order = np.argsort(lengths, kind="stable")
    picks = ((np.arange(n_rows) + 0.5) * len(lengths) / n_rows).astype(int)
    return np.sort(order[picks])
