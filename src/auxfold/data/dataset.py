"""Tokenized rows: special tokens, truncation, and padded batches of token ids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auxfold.config import Model
from auxfold.data.token_store import TokenColumn, tokenize_column
from auxfold.errors import InputError

# Short texts, of which every tokenizer knows one.
_PROBES = ("a", "1", ".", "的", "の", "а")


@dataclass(frozen=True)
class SpecialTokenTemplate:
    """Where a tokenizer puts its special tokens around one text or a pair.

    Attributes:
        segments: the special tokens before the first text, after it (in a pair: between the two
            texts), and at the end.
        segment_type_ids: the token types of each segment.
        text_type_ids: the token type of each text.
        has_token_types: false for tokenizers without token types (RoBERTa and others).
        pad_token_id: the id that fills a batch.
        empty_token_id: the token of a row without any: an empty text with a tokenizer that adds no
            special tokens (GPT-2, Qwen).
    """

    segments: list[list[int]]
    segment_type_ids: list[list[int]]
    text_type_ids: list[int]
    has_token_types: bool
    pad_token_id: int
    empty_token_id: int

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, n_texts: int) -> SpecialTokenTemplate:
        """Read the template off a tokenizer by encoding a known word.

        Args:
            tokenizer: a tokenizer of Hugging Face.
            n_texts: 1 for single texts, 2 for pairs.

        Raises:
            InputError: the tokenizer splits or changes the tokens of a text.
        """
        text, word = _probe(tokenizer)
        encoded = tokenizer(*[text] * n_texts, return_token_type_ids=True)
        ids = encoded["input_ids"]
        type_ids = encoded.get("token_type_ids") or [0] * len(ids)
        starts = _text_starts(word, ids, n_texts)
        bounds = [0] + [edge for s in starts for edge in (s, s + len(word))] + [len(ids)]
        spans = list(zip(bounds[::2], bounds[1::2], strict=True))
        return cls(
            segments=[ids[start:end] for start, end in spans],
            segment_type_ids=[type_ids[start:end] for start, end in spans],
            text_type_ids=[type_ids[start] for start in starts],
            has_token_types="token_type_ids" in tokenizer.model_input_names,
            pad_token_id=tokenizer.pad_token_id,
            empty_token_id=_empty_token_id(tokenizer),
        )

    @property
    def n_tokens(self) -> int:
        """Number of special tokens in a row."""
        return sum(len(segment) for segment in self.segments)


def _probe(tokenizer: Any) -> tuple[str, list[int]]:
    """A text and its tokens, none of which can be taken for a special token.

    Raises:
        InputError: the tokenizer knows none of the texts.
    """
    special = {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}
    for text in _PROBES:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids and special.isdisjoint(ids):
            return text, ids
    raise InputError(
        f"the backbone's tokenizer ({type(tokenizer).__name__}) gives no tokens for any of the "
        f"texts {', '.join(map(repr, _PROBES))}; use another backbone"
    )


def _empty_token_id(tokenizer: Any) -> int:
    """The token that says "end of text", or what comes nearest to it."""
    candidates = (
        tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id,
        tokenizer.cls_token_id, tokenizer.pad_token_id,
    )  # fmt: skip
    return next(token_id for token_id in candidates if token_id is not None)


def _text_starts(word: list[int], ids: list[int], n_texts: int) -> list[int]:
    """Positions of a text's first token among the encoded ids, one per text."""
    starts: list[int] = []
    position = 0
    while len(starts) < n_texts:
        if ids[position : position + len(word)] == word:
            starts.append(position)
            position += len(word)
        else:
            position += 1
        if position > len(ids):
            raise InputError(
                "the backbone's tokenizer gives a text other tokens next to special tokens than "
                "without them; use another backbone"
            )
    return starts


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
        flags = np.broadcast_to(swapped, len(indices))
        encoded = [
            self._encode(int(index), bool(swap)) for index, swap in zip(indices, flags, strict=True)
        ]
        longest = max(len(ids) for ids, _ in encoded)
        input_ids = np.full((len(indices), longest), self.template.pad_token_id, dtype=np.int64)
        mask = np.zeros((len(indices), longest), dtype=np.int64)
        type_ids = np.zeros((len(indices), longest), dtype=np.int64)
        for position, (row_ids, row_type_ids) in enumerate(encoded):
            input_ids[position, : len(row_ids)] = row_ids
            type_ids[position, : len(row_ids)] = row_type_ids
            mask[position, : len(row_ids)] = 1
        batch = {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": torch.from_numpy(mask),
        }
        if self.template.has_token_types:
            batch["token_type_ids"] = torch.from_numpy(type_ids)
        return batch

    def _encode(self, index: int, swapped: bool) -> tuple[np.ndarray, np.ndarray]:
        """``(length,)`` token ids and token types of one row, special tokens included."""
        texts = [column.row(index) for column in self.columns]
        texts = texts[::-1] if swapped else texts
        budgets = _token_budgets([len(t) for t in texts], self.max_length - self.template.n_tokens)
        if not self.template.n_tokens and not any(len(text) for text in texts):
            return np.array([self.template.empty_token_id]), np.zeros(1, dtype=int)
        ids: list[np.ndarray | list[int]] = []
        type_ids: list[np.ndarray | list[int]] = []
        for position, segment in enumerate(self.template.segments):
            ids.append(segment)
            type_ids.append(self.template.segment_type_ids[position])
            if position < len(texts):
                text = self._truncate(texts[position], budgets[position])
                ids.append(text)
                type_ids.append(np.full(len(text), self.template.text_type_ids[position]))
        return np.concatenate(ids), np.concatenate(type_ids)

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
    """The one or two text columns of a table as rows of token ids.

    Args:
        texts: one list of strings per text column.
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


def _token_budgets(lengths: list[int], room: int) -> list[int]:
    """How many tokens of each text are kept: all if they fit, else the longer one is cut first."""
    room = max(room, 0)
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    first, second = lengths
    if first + second <= room:
        return [first, second]
    short = min(first, second, room // 2)
    return [short, room - short] if first <= second else [room - short, short]
