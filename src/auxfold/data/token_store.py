"""Token ids of a text column, computed once and kept memory-mapped.

The store holds whole texts without special tokens. Truncation and special tokens are applied when
a batch is built, so that another ``max_length`` needs no new tokenization.
"""

from __future__ import annotations

import hashlib
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auxfold.data.row_template import FilledTemplate, RowTemplate
from auxfold.data.text_column import hash_strings
from auxfold.data.tokenizer_files import tokenizer_fingerprint
from auxfold.storage.atomic import atomic_write_folder
from auxfold.storage.checksums import FAST_ALGORITHM, is_intact, write_checksums

_FILES = ("ids.npy", "offsets.npy")
_FRAME_FILES = ("prefixes.npy", "suffixes.npy")  # of a filled template
CHUNK = 20_000  # texts per call of the tokenizer: bounds memory, keeps its threads busy


@dataclass(frozen=True)
class TokenColumn:
    """Token ids of one text column: row ``i`` is ``ids[offsets[i]:offsets[i + 1]]``.

    Attributes:
        ids: the tokens of all rows, one row after the other.
        offsets: ``(rows + 1,)`` where rows start in ``ids``.
        prefixes: ``(rows,)`` the tokens at the start of a row that truncation takes nothing away
            from; None: no row has any.
        suffixes: those at the end of a row.
    """

    ids: np.ndarray
    offsets: np.ndarray
    prefixes: np.ndarray | None = None
    suffixes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> np.ndarray:
        """The token ids of one row, without special tokens and not truncated."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def spans(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(len(indices),)`` where each of these rows starts in ``ids``, and its token count."""
        starts = self.offsets[indices]
        return starts, self.offsets[indices + 1] - starts

    def frame(self, indices: np.ndarray) -> tuple[np.ndarray | int, np.ndarray | int]:
        """The prefixes and suffixes of these rows; two zeros where no row has any."""
        if self.prefixes is None or self.suffixes is None:
            return 0, 0
        return self.prefixes[indices], self.suffixes[indices]

    def lengths(self) -> np.ndarray:
        """``(rows,)`` token counts, without special tokens and not truncated."""
        return np.diff(self.offsets)


def tokenize_column(texts: Sequence[str], tokenizer: Any, cache: Path | None) -> TokenColumn:
    """The stored tokens of ``texts`` below ``cache``; they are computed if they are missing.

    ``cache=None`` keeps the tokens in memory and stores nothing.
    """
    folder = None if cache is None else cache / _fingerprint([texts], tokenizer)
    return _open_or_make(folder, _FILES, lambda: _tokenize(texts, tokenizer))


def tokenize_template(
    columns: Sequence[Sequence[str]], template: RowTemplate, cache: Path | None
) -> TokenColumn:
    """The stored tokens of a template that is filled with every row; else they are computed.

    Args:
        columns: one sequence of ``(rows,)`` strings per column of the template.
        template: what is filled, and its tokenizer.
        cache: as in :func:`tokenize_column`.
    """
    folder = None
    if cache is not None:
        folder = cache / _fingerprint(columns, template.tokenizer, template.fingerprint())
    return _open_or_make(folder, _FILES + _FRAME_FILES, lambda: _fill_rows(columns, template))


def has_stored_tokens(
    columns: Sequence[Sequence[str]], tokenizer: Any, template: RowTemplate | None, cache: Path
) -> bool:
    """Whether the tokens of every column, or of a filled template, are stored already."""
    if template is not None:
        return (cache / _fingerprint(columns, tokenizer, template.fingerprint())).is_dir()
    return all((cache / _fingerprint([texts], tokenizer)).is_dir() for texts in columns)


def _open_or_make(
    folder: Path | None, files: tuple[str, ...], make: Callable[[], TokenColumn]
) -> TokenColumn:
    """The tokens that a folder has; they are made, and stored there, if it has none."""
    if folder is None:
        return make()
    stored = _load(folder, files)
    if stored is None:
        if folder.exists():
            print(f"note: {folder} is damaged; tokenizing the texts again", file=sys.stderr)
        tokens = make()
        _store(folder, files, tokens)
        stored = _load(folder, files) or tokens
    return stored


def _fingerprint(columns: Sequence[Sequence[str]], tokenizer: Any, template: str = "") -> str:
    digest = hashlib.sha256()
    for texts in columns:
        digest.update(hash_strings(texts).tobytes())
    digest.update(tokenizer_fingerprint(tokenizer).encode())
    digest.update(template.encode())
    return digest.hexdigest()[:16]


def _tokenize(texts: Sequence[str], tokenizer: Any) -> TokenColumn:
    chunks = _Chunks(tokenizer)
    for start in range(0, len(texts), CHUNK):
        chunks.encode(texts[start : start + CHUNK])
    return TokenColumn(*chunks.join())


def _fill_rows(columns: Sequence[Sequence[str]], template: RowTemplate) -> TokenColumn:
    """Fill the template with every row, and count the tokens that truncation must not cut."""
    chunks, frames = _Chunks(template.tokenizer), [np.empty((0, 2), dtype=np.int32)]
    for start in range(0, len(columns[0]), CHUNK):
        filled = template.fill([texts[start : start + CHUNK] for texts in columns])
        encodings = chunks.encode([row.text for row in filled]).encodings
        frame = [
            _count_frame(row, encoding.offsets)
            for row, encoding in zip(filled, encodings, strict=True)
        ]
        frames.append(np.array(frame, dtype=np.int32))
    prefixes, suffixes = np.concatenate(frames).T
    return TokenColumn(*chunks.join(), prefixes, suffixes)


def _count_frame(row: FilledTemplate, offsets: list[tuple[int, int]]) -> tuple[int, int]:
    """The tokens before and after the part of a text that may be cut."""
    prefix = bisect_right(offsets, row.start, key=lambda span: span[1]) if row.start else 0
    first = bisect_left(offsets, row.end, key=lambda span: span[0])
    return prefix, len(offsets) - first if row.end < len(row.text) else 0


class _Chunks:
    """Token ids of many texts, chunk by chunk.

    Args:
        tokenizer: of Hugging Face.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._dtype = np.uint16 if len(tokenizer) <= 2**16 else np.uint32
        self._ids, self._lengths = [np.empty(0, dtype=self._dtype)], [0]

    def encode(self, texts: Sequence[str]) -> Any:
        """Add some texts; what the tokenizer says about them."""
        encoded = self.tokenizer(
            texts,
            add_special_tokens=False,
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # no warning about long texts: they are truncated later
        )
        rows = encoded["input_ids"]
        self._lengths += [len(token_ids) for token_ids in rows]
        tokens = (token_id for token_ids in rows for token_id in token_ids)
        self._ids.append(np.fromiter(tokens, dtype=self._dtype))
        return encoded

    def join(self) -> tuple[np.ndarray, np.ndarray]:
        """Token ids of all texts, one after the other, and the ``(rows + 1,)`` offsets."""
        return np.concatenate(self._ids), np.cumsum(self._lengths, dtype=np.int64)


def _load(folder: Path, files: tuple[str, ...]) -> TokenColumn | None:
    """The tokens in a folder; None where there are none, or damaged ones."""
    ids, *counts = (folder / name for name in files)
    if not all(is_intact(path) for path in (ids, *counts)):
        return None
    try:
        return TokenColumn(np.load(ids, mmap_mode="r"), *map(np.load, counts))
    except (OSError, ValueError, EOFError):  # damaged, in a folder without checksums
        return None


def _store(folder: Path, files: tuple[str, ...], tokens: TokenColumn) -> None:
    """Write the arrays into ``folder``, and their checksums.

    If another process stores the tokens first, its folder stays. The content is equal, since the
    name is a fingerprint of the texts and the tokenizer.
    """
    every = (tokens.ids, tokens.offsets, tokens.prefixes, tokens.suffixes)
    arrays = [array for array in every if array is not None]

    def write(temporary: Path) -> None:
        for name, array in zip(files, arrays, strict=True):
            np.save(temporary / name, array)
        write_checksums(temporary, files, FAST_ALGORITHM)

    n_bytes = sum(array.nbytes for array in arrays)
    atomic_write_folder(folder, write, n_bytes, overwrite=_load(folder, files) is None)
