"""Store a tokenizer so that it reads back the same, and recognize an equal one."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_CONFIG = "tokenizer_config.json"
# What a saved configuration says about where the tokenizer was loaded from.
_ORIGIN_KEYS = {"is_local", "local_files_only", "name_or_path"}


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Save a tokenizer as transformers does, with the vocabulary files that it was read from.

    BERTweet's tokenizer writes its merges without their counts, and then reads only the first half
    of each (transformers 5.23). Its own files are read back as they were.
    """
    tokenizer.save_pretrained(folder)
    if tokenizer.is_fast:
        return
    for attribute, name in tokenizer.vocab_files_names.items():
        source = getattr(tokenizer, attribute, None)
        if isinstance(source, str) and Path(source).is_file():
            shutil.copyfile(source, folder / name)


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Equal for tokenizers that give a text the same tokens, wherever they were loaded from."""
    if tokenizer.is_fast:
        return str(tokenizer.backend_tokenizer.to_str())
    digest = hashlib.sha256(type(tokenizer).__qualname__.encode())
    with TemporaryDirectory() as folder:
        save_tokenizer(tokenizer, Path(folder))
        for path in sorted(Path(folder).iterdir()):
            content = path.read_bytes()
            if path.name == _CONFIG:
                settings = json.loads(content)
                stable = {key: settings[key] for key in sorted(settings.keys() - _ORIGIN_KEYS)}
                content = json.dumps(stable).encode()
            digest.update(path.name.encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()
