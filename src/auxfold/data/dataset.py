"""Tokenized rows: truncation, and batches of token ids, padded or packed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auxfold.config import Model
from auxfold.data.packing import Capacity, PackedTokens, pack_rows
from auxfold.data.special_tokens import SpecialTokenTemplate
from auxfold.data.token_store import TokenColumn, tokenize_column
from auxfold.errors import InputError


@dataclass(frozen=True)
class TokenizedDataset:
    """Tokenized rows and the rule that truncates them to ``max_length``.

    Attributes:
        columns: the token ids of the text, or of both texts of a pair.
        template: the special tokens of a row.
        max_length: the most tokens of a row, special tokens included.
        truncation: ``head`` keeps the start of a text, ``head_tail`` its start and its end.
        head_fraction: the share of the tokens that ``head_tail`` takes from the start.
        symmetric_pairs: whether the order of the two texts carries no meaning.
    """

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
        # A row without any token gets one: see `SpecialTokenTemplate.empty_token_id`.
        return np.clip(total + self.template.n_tokens, 1, self.max_length)

    def batch(
        self, indices: np.ndarray, swapped: np.ndarray | bool = False
    ) -> dict[str, torch.Tensor]:
        """``input_ids``, ``attention_mask`` and, where the tokenizer has them, ``token_type_ids``.

        Each is int64 ``(len(indices), longest)``, padded on the right.

        Args:
            indices: the rows of the batch, in order.
            swapped: ``(len(indices),)`` bool, the rows whose second text comes first; or one value
                for all rows.
        """
        ids, type_ids, lengths = self._assemble(indices, swapped)
        is_token = np.arange(lengths.max()) < lengths[:, None]
        input_ids = np.full(is_token.shape, self.template.pad_token_id, dtype=np.int64)
        input_ids[is_token] = ids
        batch = {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": torch.from_numpy(is_token.astype(np.int64)),
        }
        if self.template.has_token_types:
            padded_type_ids = np.zeros(is_token.shape, dtype=np.int64)
            padded_type_ids[is_token] = type_ids
            batch["token_type_ids"] = torch.from_numpy(padded_type_ids)
        return batch

    def packed(
        self,
        indices: np.ndarray,
        swapped: np.ndarray | bool = False,
        capacity: Capacity | None = None,
    ) -> PackedTokens:
        """The tokens of :meth:`batch` one row after the other, without padding.

        Args:
            indices: the rows of the batch, in order.
            swapped: as in :meth:`batch`.
            capacity: the size to fill up to: rows of padding tokens follow the rows of the batch,
                and empty rows follow them. None adds nothing.

        Raises:
            ValueError: the rows do not fit into the capacity.
        """
        ids, type_ids, lengths = self._assemble(indices, swapped)
        return pack_rows(
            ids,
            type_ids if self.template.has_token_types else None,
            lengths,
            pad_token_id=self.template.pad_token_id,
            capacity=capacity,
        )

    def _assemble(
        self, indices: np.ndarray, swapped: np.ndarray | bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids and token types of all rows, ``(tokens,)`` each, and the ``(rows,)`` lengths.

        Nothing loops over rows: 32 rows take less than a tenth of a millisecond.
        """
        pieces = self.template.pieces
        spans = [column.spans(indices) for column in self.columns]
        # Texts are cut by their position in the row, and copied by their column.
        lengths = _reorder([lengths for _, lengths in spans], swapped)
        budgets = _token_budgets(lengths, self.max_length - self.template.n_tokens)
        counts = np.ones((len(indices), len(pieces.ids)), dtype=np.int64)
        for piece, budget in zip(pieces.texts, budgets, strict=True):
            counts[:, piece] = budget
        if not self.template.n_tokens:  # a row without a token gets one
            counts[:, 0] += counts.sum(axis=1) == 0
        ends = counts.cumsum().reshape(counts.shape)
        ids = np.repeat(_tile(pieces.ids, len(indices)), counts.ravel())
        type_ids = np.zeros(len(ids), dtype=np.int64)
        if pieces.type_ids.any():
            type_ids = np.repeat(_tile(pieces.type_ids, len(indices)), counts.ravel())
        targets = [ends[:, piece] - counts[:, piece] for piece in pieces.texts]
        for column, (starts, sizes), target, budget in zip(
            self.columns, spans, _reorder(targets, swapped), _reorder(budgets, swapped), strict=True
        ):
            self._copy_texts(ids, target, column, starts, sizes, budget)
        return ids, type_ids, counts.sum(axis=1)

    def _copy_texts(
        self,
        ids: np.ndarray,
        targets: np.ndarray,
        column: TokenColumn,
        starts: np.ndarray,
        sizes: np.ndarray,
        budgets: np.ndarray,
    ) -> None:
        """Copy what truncation leaves of the texts of a column to their places in ``ids``."""
        is_truncated = sizes > budgets
        if self.truncation == "head_tail" and is_truncated.any():
            share = np.rint(budgets * self.head_fraction).astype(np.int64)
            heads = np.where(is_truncated, share, budgets)
            tails = budgets - heads
            starts = np.stack([starts, starts + sizes - tails], axis=1).ravel()
            targets = np.stack([targets, targets + heads], axis=1).ravel()
            budgets = np.stack([heads, tails], axis=1).ravel()
        ends = budgets.cumsum()
        positions = np.arange(ends[-1]) + np.repeat(targets - (ends - budgets), budgets)
        # A memory-mapped array is a subclass, which is slower to index than the array in it.
        ids[positions] = np.asarray(column.ids)[positions + np.repeat(starts - targets, budgets)]


def tokenize_dataset(
    texts: Sequence[Sequence[str]],
    tokenizer: Any,
    settings: Model,
    cache: Path | None = None,
) -> TokenizedDataset:
    """The one or two text columns of a table as rows of token ids.

    Args:
        texts: one sequence of strings per text column.
        tokenizer: a tokenizer of Hugging Face.
        settings: ``[model]``, which holds the maximal length and the rule of truncation.
        cache: the folder of stored tokens; None stores nothing.

    Raises:
        InputError: ``max_length`` leaves no room for text next to the special tokens.
    """
    template = SpecialTokenTemplate.from_tokenizer(tokenizer, len(texts))
    if settings.max_length <= template.n_tokens:
        raise InputError(
            f"model.max_length = {settings.max_length} leaves no room for text next to "
            f"{template.n_tokens} special tokens; raise it"
        )
    return TokenizedDataset(
        columns=[tokenize_column(column, tokenizer, cache) for column in texts],
        template=template,
        max_length=settings.max_length,
        truncation=settings.truncation,
        head_fraction=settings.head_fraction,
        symmetric_pairs=settings.symmetric_pairs,
    )


def _token_budgets(lengths: list[np.ndarray], room: int) -> list[np.ndarray]:
    """How many tokens of each text are kept: all if they fit, else the longer one is cut first.

    Args:
        lengths: ``(rows,)`` tokens of the one or two texts of each row, in their order there.
        room: the most tokens of a row without its special tokens.
    """
    room = max(room, 0)
    if len(lengths) == 1:
        return [np.minimum(lengths[0], room)]
    first, second = lengths
    half = room // 2
    # The shorter text leaves to the longer one what it does not need of its half.
    first_room = np.where(first <= second, half, room - np.minimum(second, half))
    second_room = np.where(first <= second, room - np.minimum(first, half), half)
    fits = first + second <= room
    return [
        np.where(fits, first, np.minimum(first, first_room)),
        np.where(fits, second, np.minimum(second, second_room)),
    ]


def _reorder(values: list[np.ndarray], swapped: np.ndarray | bool) -> list[np.ndarray]:
    """``(rows,)`` values of each text, exchanged between the texts of the swapped rows."""
    if len(values) == 1 or not np.any(swapped):
        return values
    first, second = values
    return [np.where(swapped, second, first), np.where(swapped, first, second)]


def _tile(values: np.ndarray, n_rows: int) -> np.ndarray:
    """The values once per row; :func:`numpy.tile` takes several times as long for a few rows."""
    return np.broadcast_to(values, (n_rows, len(values))).ravel()
