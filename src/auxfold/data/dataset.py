"""Tokenized rows: truncation, and batches of token ids, padded or packed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auxfold.config import Data, Model
from auxfold.data.packing import Capacity, PackedTokens, pack_rows
from auxfold.data.row_template import RowTemplate
from auxfold.data.special_tokens import SpecialTokenTemplate
from auxfold.data.token_store import TokenColumn, tokenize_column, tokenize_template
from auxfold.data.truncation import (
    RowWindows,
    count_windows,
    head_tail_spans,
    token_budgets,
    window_spans,
)
from auxfold.errors import InputError


@dataclass(frozen=True)
class TokenizedDataset:
    """Tokenized rows and the rule that truncates them to ``max_length``.

    Attributes:
        columns: the token ids of the text, or of both texts of a pair.
        template: the special tokens of a row.
        max_length: the most tokens of a row, special tokens included.
        truncation: ``head`` keeps the start of a text, ``head_tail`` its start and its end, and
            ``windows`` reads one window of it.
        head_fraction: the share of the tokens that ``head_tail`` takes from the start.
        symmetric_pairs: whether the order of the two texts carries no meaning.
        window_stride: the tokens from the start of a window to that of the next one; None: half of
            those that a window has of the text.
        window_reduction: how the logits of windows become those of a row: ``mean`` or ``max``.
    """

    columns: list[TokenColumn]
    template: SpecialTokenTemplate
    max_length: int
    truncation: str = "head"
    head_fraction: float = 0.6
    symmetric_pairs: bool = False
    window_stride: int | None = None
    window_reduction: str = "mean"

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def room(self) -> int:
        """The most tokens of a row without its special tokens."""
        return self.max_length - self.template.n_tokens

    def lengths(self) -> np.ndarray:
        """``(rows,)`` tokens of each row after truncation, special tokens included.

        Of a row with several windows, those of one window: all of them are equally long.
        """
        return self._lengths

    @cached_property
    def _lengths(self) -> np.ndarray:
        # A row without any token gets one: see `SpecialTokenTemplate.empty_token_id`.
        return np.clip(self.whole_lengths(), 1, self.max_length)

    def whole_lengths(self) -> np.ndarray:
        """``(rows,)`` tokens of each row before truncation, special tokens included."""
        total: np.ndarray = np.sum([column.lengths() for column in self.columns], axis=0)
        return total + self.template.n_tokens

    def n_windows(self) -> np.ndarray:
        """``(rows,)`` how many windows each row has; 1 unless ``truncation`` is ``windows``."""
        return self._n_windows

    @cached_property
    def _n_windows(self) -> np.ndarray:
        if self.truncation != "windows":
            return np.ones(len(self), dtype=np.int64)
        (column,) = self.columns
        frame = column.frame(np.arange(len(self)))
        return count_windows(column.lengths(), self.room, *frame, self.window_stride)

    def sample_windows(self, seed: int, epoch: int) -> np.ndarray | None:
        """``(rows,)`` int, the random window of each row that an epoch trains on.

        None where every row has one window.
        """
        if self.n_windows().max(initial=1) == 1:
            return None
        return np.random.default_rng([seed, epoch, 5]).integers(self.n_windows())

    def all_windows(self, indices: np.ndarray) -> RowWindows:
        """Every window of these rows; see :meth:`batch`."""
        return RowWindows.of_rows(indices, self.n_windows()[indices])

    def batch(
        self,
        indices: np.ndarray,
        swapped: np.ndarray | bool = False,
        windows: np.ndarray | int = 0,
    ) -> dict[str, torch.Tensor]:
        """``input_ids``, ``attention_mask`` and, where the tokenizer has them, ``token_type_ids``.

        Each is int64 ``(len(indices), longest)``, padded on the right.

        Args:
            indices: the rows of the batch, in order.
            swapped: ``(len(indices),)`` bool, the rows whose second text comes first; or one value
                for all rows.
            windows: ``(len(indices),)`` int, the window of each row, from 0; or one for all rows.
        """
        ids, type_ids, lengths = self._assemble(indices, swapped, windows)
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
        windows: np.ndarray | int = 0,
    ) -> PackedTokens:
        """The tokens of :meth:`batch` one row after the other, without padding.

        Args:
            indices: the rows of the batch, in order.
            swapped: as in :meth:`batch`.
            capacity: the size to fill up to: rows of padding tokens follow the rows of the batch,
                and empty rows follow them. None adds nothing.
            windows: as in :meth:`batch`.

        Raises:
            ValueError: the rows do not fit into the capacity.
        """
        ids, type_ids, lengths = self._assemble(indices, swapped, windows)
        return pack_rows(
            ids,
            type_ids if self.template.has_token_types else None,
            lengths,
            pad_token_id=self.template.pad_token_id,
            capacity=capacity,
        )

    def _assemble(
        self, indices: np.ndarray, swapped: np.ndarray | bool, windows: np.ndarray | int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids and token types of all rows, ``(tokens,)`` each, and the ``(rows,)`` lengths.

        Nothing loops over rows: 32 rows take less than a tenth of a millisecond.
        """
        pieces = self.template.pieces
        spans = [column.spans(indices) for column in self.columns]
        # Texts are cut by their position in the row, and copied by their column.
        lengths = _reorder([lengths for _, lengths in spans], swapped)
        budgets = token_budgets(lengths, self.room)
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
        for column, span, target, budget in zip(
            self.columns, spans, _reorder(targets, swapped), _reorder(budgets, swapped), strict=True
        ):
            self._copy_texts(ids, target, column, span, indices, budget, windows)
        return ids, type_ids, counts.sum(axis=1)

    def _copy_texts(
        self,
        ids: np.ndarray,
        targets: np.ndarray,
        column: TokenColumn,
        span: tuple[np.ndarray, np.ndarray],
        indices: np.ndarray,
        budgets: np.ndarray,
        windows: np.ndarray | int,
    ) -> None:
        """Copy what truncation leaves of the texts of a column to their places in ``ids``."""
        starts, sizes = span
        keeps_head = self.truncation == "head" and column.suffixes is None
        if not keeps_head and (sizes > budgets).any():
            frame = column.frame(indices)
            if self.truncation == "windows":
                spans = window_spans(sizes, budgets, *frame, self.window_stride, windows)
            else:
                fraction = 1.0 if self.truncation == "head" else self.head_fraction
                spans = head_tail_spans(sizes, budgets, *frame, fraction)
            before = spans.counts.cumsum(axis=1) - spans.counts
            starts = (starts[:, None] + spans.starts).ravel()
            targets = (targets[:, None] + before).ravel()
            budgets = spans.counts.ravel()
        ends = budgets.cumsum()
        positions = np.arange(ends[-1]) + np.repeat(targets - (ends - budgets), budgets)
        # A memory-mapped array is a subclass, which is slower to index than the array in it.
        ids[positions] = np.asarray(column.ids)[positions + np.repeat(starts - targets, budgets)]


def tokenize_dataset(
    texts: Sequence[Sequence[str]],
    tokenizer: Any,
    settings: Model,
    cache: Path | None = None,
    data: Data | None = None,
) -> TokenizedDataset:
    """The text columns of a table as rows of token ids.

    Args:
        texts: one sequence of strings per text column.
        tokenizer: a tokenizer of Hugging Face.
        settings: ``[model]``, which holds the maximal length and the rule of truncation.
        cache: the folder of stored tokens; None stores nothing.
        data: ``[data]``, whose template is filled with the columns of every row; None, or without
            a template: the columns are one text or a pair.

    Raises:
        InputError: ``max_length`` leaves no room for text next to the special tokens and what the
            template keeps, or windows would leave out tokens; or the template cannot be filled.
    """
    row_template = make_row_template(data, tokenizer)
    if row_template is not None and row_template.is_chat:
        template = SpecialTokenTemplate.without_special_tokens(tokenizer)
    else:
        n_texts = len(texts) if row_template is None else 1
        template = SpecialTokenTemplate.from_tokenizer(tokenizer, n_texts)
    _check_room(settings, template, row_template)
    columns = (
        [tokenize_column(column, tokenizer, cache) for column in texts]
        if row_template is None
        else [tokenize_template(texts, row_template, cache)]
    )
    return TokenizedDataset(
        columns=columns,
        template=template,
        max_length=settings.max_length,
        truncation=settings.truncation,
        head_fraction=settings.head_fraction,
        symmetric_pairs=settings.symmetric_pairs,
        window_stride=settings.window_stride,
        window_reduction=settings.window_reduction,
    )


def make_row_template(data: Data | None, tokenizer: Any) -> RowTemplate | None:
    """What fills ``data.template``; None where there is no template.

    Raises:
        InputError: the template does not go with the tokenizer.
    """
    return None if data is None or data.template is None else RowTemplate(data, tokenizer)


def _check_room(
    settings: Model, template: SpecialTokenTemplate, row_template: RowTemplate | None
) -> None:
    """Refuse a ``max_length`` without room for text, and windows that leave out some of it."""
    n_reserved = 0 if row_template is None else row_template.n_reserved()
    room = settings.max_length - template.n_tokens - n_reserved
    if room <= 0:
        reserved = f"{template.n_tokens} special tokens"
        advice = "raise it"
        if n_reserved:
            reserved += f" and {n_reserved} tokens of data.template and data.fields"
            advice = "raise it, or lower the numbers of data.fields"
        raise InputError(
            f"model.max_length = {settings.max_length} leaves no room for text next to "
            f"{reserved}; {advice}"
        )
    if settings.window_stride is not None and settings.window_stride > room:
        raise InputError(
            f"model.window_stride = {settings.window_stride} leaves out tokens between windows, "
            f"which have {room} tokens of the text each; lower it"
        )


def _reorder(values: list[np.ndarray], swapped: np.ndarray | bool) -> list[np.ndarray]:
    """``(rows,)`` values of each text, exchanged between the texts of the swapped rows."""
    if len(values) == 1 or not np.any(swapped):
        return values
    first, second = values
    return [np.where(swapped, second, first), np.where(swapped, first, second)]


def _tile(values: np.ndarray, n_rows: int) -> np.ndarray:
    """The values once per row; :func:`numpy.tile` takes several times as long for a few rows."""
    return np.broadcast_to(values, (n_rows, len(values))).ravel()
