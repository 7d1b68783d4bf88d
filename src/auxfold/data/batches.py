"""Which rows go together, and how rows become one padded batch of token ids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auxfold.config import Model
from auxfold.data.tokens import TokenColumn, token_column
from auxfold.errors import InputError


@dataclass(frozen=True)
class SpecialTokenTemplate:
    """Where a tokenizer puts its special tokens around one text or a pair.

    ``pieces`` are the special tokens before the first text, after it (between the two of a
    pair), and at the end; ``types`` the token type of each text; ``type_of_piece`` that of each
    piece. ``has_types`` is false for tokenizers without token types (RoBERTa and others).
    """

    pieces: list[list[int]]
    type_of_piece: list[list[int]]
    types: list[int]
    has_types: bool
    pad: int

    @property
    def extra(self) -> int:
        """How many special tokens a row has."""
        return sum(len(piece) for piece in self.pieces)


def read_special_tokens(tokenizer: Any, n_texts: int) -> SpecialTokenTemplate:
    """Read the template off the tokenizer itself, by encoding a known word."""
    encoded = tokenizer(*["a"] * n_texts, return_token_type_ids=True)
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    ids = encoded["input_ids"]
    types = encoded.get("token_type_ids") or [0] * len(ids)
    starts = _starts_of(bare, ids, n_texts)
    bounds = [0] + [edge for s in starts for edge in (s, s + len(bare))] + [len(ids)]
    spans = list(zip(bounds[::2], bounds[1::2], strict=True))
    return SpecialTokenTemplate(
        pieces=[ids[a:b] for a, b in spans],
        type_of_piece=[types[a:b] for a, b in spans],
        types=[types[s] for s in starts],
        has_types="token_type_ids" in tokenizer.model_input_names,
        pad=tokenizer.pad_token_id,
    )


def _starts_of(bare: list[int], ids: list[int], n_texts: int) -> list[int]:
    starts, position = [], 0
    while len(starts) < n_texts:
        if ids[position : position + len(bare)] == bare:
            starts.append(position)
            position += len(bare)
        else:
            position += 1
        if position > len(ids):
            raise ValueError("the tokenizer does not keep a text's tokens in one piece")
    return starts


@dataclass(frozen=True)
class TokenizedDataset:
    """Tokenised rows with the rule by which they are cut to ``max_length``."""

    columns: list[TokenColumn]
    template: SpecialTokenTemplate
    max_length: int
    truncation: str = "head"
    head_fraction: float = 0.6
    symmetric_pairs: bool = False

    def __len__(self) -> int:
        return len(self.columns[0])

    def lengths(self) -> np.ndarray:
        """``(rows,)`` tokens of each row after truncation, special tokens included."""
        return self._lengths

    @cached_property
    def _lengths(self) -> np.ndarray:
        total = sum(column.lengths() for column in self.columns)
        return np.minimum(total + self.template.extra, self.max_length)

    def batch(
        self, rows: np.ndarray, swapped: np.ndarray | bool = False
    ) -> dict[str, torch.Tensor]:
        """``input_ids``, ``attention_mask`` and, where known, ``token_type_ids``.

        Each is int64 ``(len(rows), longest)``, padded on the right.

        Args:
            rows: which rows.
            turned: of which of them the second text of a pair comes first.
        """
        sides = np.broadcast_to(swapped, len(rows))
        pairs = zip(rows, sides, strict=True)
        encoded = [self._encode(int(row), bool(side)) for row, side in pairs]
        longest = max(len(ids) for ids, _ in encoded)
        ids = np.full((len(rows), longest), self.template.pad, dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        types = np.zeros((len(rows), longest), dtype=np.int64)
        for position, (row_ids, row_types) in enumerate(encoded):
            ids[position, : len(row_ids)] = row_ids
            types[position, : len(row_ids)] = row_types
            mask[position, : len(row_ids)] = 1
        made = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if self.template.has_types:
            made["token_type_ids"] = torch.from_numpy(types)
        return made

    def _encode(self, row: int, swapped: bool) -> tuple[np.ndarray, np.ndarray]:
        texts = [column.row(row) for column in self.columns]
        texts = texts[::-1] if swapped else texts
        budgets = _budgets([len(t) for t in texts], self.max_length - self.template.extra)
        ids, types = [], []
        for position, piece in enumerate(self.template.pieces):
            ids.append(piece)
            types.append(self.template.type_of_piece[position])
            if position < len(texts):
                text = self._truncate(texts[position], budgets[position])
                ids.append(text)
                types.append(np.full(len(text), self.template.types[position]))
        return np.concatenate(ids), np.concatenate(types)

    def _truncate(self, text: np.ndarray, budget: int) -> np.ndarray:
        if len(text) <= budget:
            return text
        if self.truncation == "head":
            return text[:budget]
        head = round(budget * self.head_fraction)
        return np.concatenate([text[:head], text[len(text) - (budget - head) :]])


def tokenize_dataset(
    texts: list[list[str]], tokenizer: Any, settings: Model, cache: Path | None = None
) -> TokenizedDataset:
    """The one or two text columns of a table as rows of token ids, from the store where they are.

    Raises:
        InputError: ``max_length`` leaves no room for text beside the special tokens.
    """
    template = read_special_tokens(tokenizer, len(texts))
    if settings.max_length <= template.extra:
        raise InputError(
            f"model.max_length = {settings.max_length} leaves no room for text beside "
            f"{template.extra} special tokens"
        )
    return TokenizedDataset(
        columns=[token_column(column, tokenizer, cache) for column in texts],
        template=template,
        max_length=settings.max_length,
        truncation=settings.truncation,
        head_fraction=settings.head_fraction,
        symmetric_pairs=settings.symmetric_pairs,
    )


def _budgets(lengths: list[int], room: int) -> list[int]:
    """Tokens each text may keep: all if they fit, else the longer of a pair gives way first."""
    room = max(room, 0)
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    first, second = lengths
    if first + second <= room:
        return [first, second]
    short = min(first, second, room // 2)
    return [short, room - short] if first <= second else [room - short, short]


def training_steps(
    lengths: np.ndarray, batch_size: int, window: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """The rows of every optimizer step of one epoch, reproducible from seed and epoch.

    Rows are shuffled, sorted by length within windows of ``window`` steps, cut into steps of
    ``batch_size`` rows, and the steps of all windows are shuffled. Every row comes once; the
    last, odd step is kept.
    """
    random = np.random.default_rng([seed, epoch])
    steps = steps_by_length(lengths, batch_size, window, random)
    return [steps[i] for i in random.permutation(len(steps))]


def steps_by_length(
    lengths: np.ndarray, batch_size: int, window: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Shuffled rows, sorted by length within windows of ``window`` steps, cut into steps."""
    order = random.permutation(len(lengths))
    steps: list[np.ndarray] = []
    for start in range(0, len(order), window * batch_size):
        rows = order[start : start + window * batch_size]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        steps += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return steps


def swap_mask(n_rows: int, seed: int, epoch: int) -> np.ndarray:
    """``(n_rows,)`` booleans: whose texts change places in this epoch, half of them."""
    return np.random.default_rng([seed, epoch, 1]).random(n_rows) < 0.5


def cut_by_tokens(rows: np.ndarray, lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    """Rows, longest first, cut into batches of at most ``max_tokens`` padded tokens.

    A row longer than the budget is a batch of its own.
    """
    rows = rows[np.argsort(-lengths[rows], kind="stable")]
    batches, start = [], 0
    while start < len(rows):
        size = max(1, max_tokens // int(lengths[rows[start]]))
        batches.append(rows[start : start + size])
        start += size
    return batches
