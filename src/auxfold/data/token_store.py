"""Token ids of a text column, computed once and kept memory-mapped.

The store holds whole texts without special tokens. Truncation and special tokens are applied when
a batch is built, so that another ``max_length`` needs no new tokenization.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auxfold.data.text_column import hash_strings
from auxfold.data.tokenizer_files import tokenizer_fingerprint
from auxfold.storage.atomic import atomic_write_folder
from auxfold.storage.checksums import FAST_ALGORITHM, is_intact, write_checksums

_FILES = ("ids.npy", "offsets.npy")
CHUNK = 20_000  # texts per call of the tokenizer: bounds memory, keeps its threads busy


@dataclass(frozen=True)
class TokenColumn:
    """Token ids of one text column: row ``i`` is ``ids[offsets[i]:offsets[i + 1]]``."""

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> np.ndarray:
        """The token ids of one row, without special tokens and not truncated."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def spans(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(len(indices),)`` where each of these rows starts in ``ids``, and its token count."""
        starts = self.offsets[indices]
        return starts, self.offsets[indices + 1] - starts

    def lengths(self) -> np.ndarray:
        """``(rows,)`` token counts, without special tokens and not truncated."""
        return np.diff(self.offsets)


def tokenize_column(texts: Sequence[str], tokenizer: Any, cache: Path | None) -> TokenColumn:
    """The stored tokens of ``texts`` below ``cache``; they are computed if they are missing.

    ``cache=None`` keeps the tokens in memory and stores nothing.
    """
    if cache is None:
        return TokenColumn(*_tokenize(texts, tokenizer))
    folder = cache / _fingerprint(texts, tokenizer)
    stored = _load(folder)
    if stored is None:
        if folder.exists():
            print(f"note: {folder} is damaged; tokenizing the texts again", file=sys.stderr)
        tokens = TokenColumn(*_tokenize(texts, tokenizer))
        _store(folder, tokens)
        stored = _load(folder) or tokens
    return stored


def has_stored_tokens(texts: Sequence[str], tokenizer: Any, cache: Path) -> bool:
    """Whether :func:`tokenize_column` has these tokens already."""
    return (cache / _fingerprint(texts, tokenizer)).is_dir()


def _fingerprint(texts: Sequence[str], tokenizer: Any) -> str:
    digest = hashlib.sha256(hash_strings(texts).tobytes())
    digest.update(tokenizer_fingerprint(tokenizer).encode())
    return digest.hexdigest()[:16]


def _tokenize(texts: Sequence[str], tokenizer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of all texts, one after the other, and the ``(rows + 1,)`` offsets."""
    dtype = np.uint16 if len(tokenizer) <= 2**16 else np.uint32
    chunks, lengths = [np.empty(0, dtype=dtype)], [0]
    for start in range(0, len(texts), CHUNK):
        encoded = tokenizer(
            texts[start : start + CHUNK],
            add_special_tokens=False,
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # no warning about long texts: they are truncated later
        )["input_ids"]
        lengths += [len(token_ids) for token_ids in encoded]
        chunks.append(np.fromiter((i for token_ids in encoded for i in token_ids), dtype=dtype))
    return np.concatenate(chunks), np.cumsum(lengths, dtype=np.int64)


def _load(folder: Path) -> TokenColumn | None:
    """The tokens in a folder; None where there are none, or damaged ones."""
    ids, offsets = (folder / name for name in _FILES)
    if not (is_intact(ids) and is_intact(offsets)):
        return None
    try:
        return TokenColumn(np.load(ids, mmap_mode="r"), np.load(offsets))
    except (OSError, ValueError, EOFError):  # damaged, in a folder without checksums
        return None


def _store(folder: Path, tokens: TokenColumn) -> None:
    """Write both arrays into ``folder``, and their checksums.

    If another process stores the tokens first, its folder stays. The content is equal, since the
    name is a fingerprint of the texts and the tokenizer.
    """

    def write(temporary: Path) -> None:
        for name, array in zip(_FILES, (tokens.ids, tokens.offsets), strict=True):
            np.save(temporary / name, array)
        write_checksums(temporary, _FILES, FAST_ALGORITHM)

    n_bytes = tokens.ids.nbytes + tokens.offsets.nbytes
    atomic_write_folder(folder, write, n_bytes, overwrite=_load(folder) is None)
