"""The special tokens that a tokenizer puts around one text or a pair."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from auxfold.errors import InputError

# Short texts, of which every tokenizer knows one.
_PROBES = ("a", "1", ".", "的", "の", "а")


class RowPieces(NamedTuple):
    """A row as pieces that are each one special token or one text.

    Attributes:
        ids: ``(pieces,)`` the id of each special token; any id where the piece is a text.
        type_ids: ``(pieces,)`` the token type of each piece.
        texts: ``(texts,)`` which pieces are texts.
    """

    ids: np.ndarray
    type_ids: np.ndarray
    texts: np.ndarray


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

    @classmethod
    def without_special_tokens(cls, tokenizer: Any) -> SpecialTokenTemplate:
        """The template of a text that has its special tokens already, such as a filled chat."""
        return cls(
            segments=[[], []],
            segment_type_ids=[[], []],
            text_type_ids=[0],
            has_token_types="token_type_ids" in tokenizer.model_input_names,
            pad_token_id=tokenizer.pad_token_id,
            empty_token_id=_empty_token_id(tokenizer),
        )

    @property
    def n_tokens(self) -> int:
        """Number of special tokens in a row."""
        return sum(len(segment) for segment in self.segments)

    @cached_property
    def pieces(self) -> RowPieces:
        """The pieces of a row: every special token, and every text as a whole, in their order."""
        ids: list[int] = []
        type_ids: list[int] = []
        texts: list[int] = []
        for position, segment in enumerate(self.segments):
            ids += segment
            type_ids += self.segment_type_ids[position]
            if position < len(self.text_type_ids):
                texts.append(len(ids))
                ids.append(self.empty_token_id)  # overwritten by the tokens of the text
                type_ids.append(self.text_type_ids[position])
        return RowPieces(np.array(ids), np.array(type_ids), np.array(texts))


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
