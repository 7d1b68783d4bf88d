"""The files of a published backbone, in a folder or in the cache of the Hugging Face hub."""

from __future__ import annotations

import json
from pathlib import Path, PurePath

from transformers.utils import (
    CONFIG_NAME,
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
    WEIGHTS_INDEX_NAME,
    WEIGHTS_NAME,
    cached_file,
)

# Files that say where the shards of the weights are, next to the name of a single file.
_WEIGHTS = ((SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME), (WEIGHTS_NAME, WEIGHTS_INDEX_NAME))


def list_published_files(path: str) -> list[Path]:
    """The configuration and the weights that transformers loads: ``config.json`` and what follows.

    The weights are one file, or an index and its shards; safetensors if there are any.

    Args:
        path: a local folder, or a name on the hub.

    Raises:
        OSError: a file is missing, or there are no weights.
        ValueError: the index is damaged, or names a file elsewhere.
    """
    files = [_find(path, CONFIG_NAME)]
    for single, index in _WEIGHTS:
        if weights := _find_if_published(path, single):
            return [*files, weights]
        if index_file := _find_if_published(path, index):
            shards = sorted({*json.loads(index_file.read_bytes())["weight_map"].values()})
            return [*files, index_file, *(_find(path, _plain_name(shard)) for shard in shards)]
    raise OSError(f"{path} has no {SAFE_WEIGHTS_NAME} and no {WEIGHTS_NAME}")


def _plain_name(shard: str) -> str:
    """The name of a shard, which an index could give as a path to somewhere else."""
    if PurePath(shard).name != shard or PurePath(shard).suffix not in (".safetensors", ".bin"):
        raise ValueError(f"the index of the weights names {shard!r}, which is no file next to it")
    return shard


def _find(path: str, name: str) -> Path:
    file = cached_file(path, name)
    if file is None:
        raise OSError(f"{path} has no {name}")
    return Path(file)


def _find_if_published(path: str, name: str) -> Path | None:
    file = cached_file(
        path,
        name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if file is None else Path(file)
