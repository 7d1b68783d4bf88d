"""Options of ``from_pretrained`` that choose files on the Hugging Face Hub."""

from __future__ import annotations

from typing import Any

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")


def select_hub_options(options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options of ``from_pretrained`` that say where its files come from."""
    return {name: options[name] for name in HUB_OPTIONS if name in options}
