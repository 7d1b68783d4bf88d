"""Token ids of a text column, made once and kept memory-mapped.

Texts are stored whole, without special tokens; truncation and special tokens are applied when
a batch is cut, so that another ``max_length`` needs no new tokenising.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CHUNK = 20_000  # texts per call of the tokenizer: bounds memory, keeps its threads busy


@dataclass(frozen=True)
class TokenColumn:
    """Token ids of one text column: row ``i`` is ``ids[offsets[i]:offsets[i + 1]]``."""

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> np.ndarray:
        """The token ids of one row, no special tokens, not truncated."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def lengths(self) -> np.ndarray:
        """``(rows,)`` token counts, no special tokens, not truncated."""
        return np.diff(self.offsets)


def token_column(texts: list[str], tokenizer: Any, cache: Path | None) -> TokenColumn:
    """The stored tokens of ``texts`` under ``cache``, made if they are not there yet.

    ``cache=None`` keeps them in memory and stores nothing.
    """
    if cache is None:
        return TokenColumn(*_tokenise(texts, tokenizer))
    folder = cache / _fingerprint(texts, tokenizer)
    if not folder.is_dir():
        _store(folder, *_tokenise(texts, tokenizer))
    return TokenColumn(
        ids=np.load(folder / "ids.npy", mmap_mode="r"),
        offsets=np.load(folder / "offsets.npy"),
    )


def _fingerprint(texts: list[str], tokenizer: Any) -> str:
    digest = hashlib.sha256(pd.util.hash_array(np.array(texts, dtype=object)).tobytes())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    return digest.hexdigest()[:16]


def _tokenise(texts: list[str], tokenizer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of all texts, one after the other, and the ``(rows + 1,)`` offsets."""
    dtype = np.uint16 if len(tokenizer) <= 2**16 else np.uint32
    pieces, lengths = [np.empty(0, dtype=dtype)], [0]
    for start in range(0, len(texts), CHUNK):
        encoded = tokenizer(
            texts[start : start + CHUNK],
            add_special_tokens=False,
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # "longer than the maximum": cut later, by ourselves
        )["input_ids"]
        lengths += [len(row) for row in encoded]
        pieces.append(np.fromiter((i for row in encoded for i in row), dtype=dtype))
    return np.concatenate(pieces), np.cumsum(lengths, dtype=np.int64)


def _store(folder: Path, ids: np.ndarray, offsets: np.ndarray) -> None:
    """Write ``ids.npy`` and ``offsets.npy`` into ``folder``, whole or not at all."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    np.save(partial / "ids.npy", ids)
    np.save(partial / "offsets.npy", offsets)
    try:
        os.replace(partial, folder)
    except OSError:
        # Another process made the same store first; its content is equal by fingerprint.
        shutil.rmtree(partial)
