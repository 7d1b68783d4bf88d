"""Texts of a column as an Arrow array: the texts of a large table without an object for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa

CHUNK = 65_536  # texts that are Python objects at the same time


class TextColumn(Sequence[str]):
    """A sequence of ``rows`` texts, read-only.

    Args:
        values: the texts, as strings of Arrow.
        hashes: ``(rows,)`` uint64, what :func:`hash_strings` gives for them; computed when they are
            first needed where left out.
    """

    def __init__(self, values: pa.LargeStringArray, hashes: np.ndarray | None = None) -> None:
        self.values = values
        if hashes is not None:
            self.hashes = hashes

    @classmethod
    def from_strings(cls, strings: Any) -> TextColumn:
        """The texts of a list, of a numpy array, or of a column of a frame."""
        if isinstance(strings, cls):
            return strings
        array = pa.array(strings, pa.large_string())
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays([pa.array([], array.type), *array.chunks])
        return cls(array.cast(pa.large_string()))

    @cached_property
    def hashes(self) -> np.ndarray:
        """``(rows,)`` uint64, the hash of every text."""
        return _hash(self)

    def take(self, indices: np.ndarray) -> TextColumn:
        """The texts at ``indices``, in that order."""
        hashes = self.__dict__.get("hashes")
        return TextColumn(
            self.values.take(pa.array(indices)), None if hashes is None else hashes[indices]
        )

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            texts: list[str] = self.values[index].to_pylist()
            return texts
        text: str = self.values[int(index)].as_py()
        return text

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), CHUNK):
            yield from self[start : start + CHUNK]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array: np.ndarray = self.values.to_numpy(zero_copy_only=False)
        return array if dtype is None else array.astype(dtype, copy=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TextColumn({self[:3]!r}, {len(self):,} rows)"


def hash_strings(strings: Sequence[str] | np.ndarray) -> np.ndarray:
    """``(rows,)`` uint64, the hash that pandas gives every string, in every process the same."""
    return strings.hashes if isinstance(strings, TextColumn) else _hash(strings)


def _hash(strings: Sequence[str] | np.ndarray) -> np.ndarray:
    hashes = np.empty(len(strings), dtype=np.uint64)
    for start in range(0, len(strings), CHUNK):
        part = np.array(strings[start : start + CHUNK], dtype=object)
        # Looking for equal strings first takes longer than hashing each one.
        hashes[start : start + CHUNK] = pd.util.hash_array(part, categorize=False)
    return hashes
