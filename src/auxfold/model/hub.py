"""Load from the Hugging Face Hub or a folder, and the options that choose files there."""

from __future__ import annotations

from typing import Any

from auxfold.config import Model as ModelSettings
from auxfold.errors import InputError
from auxfold.model.reference import backbone_path

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")


def select_hub_options(options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options of ``from_pretrained`` that say where its files come from."""
    return {name: options[name] for name in HUB_OPTIONS if name in options}


def load_pretrained(loader: Any, settings: ModelSettings, **options: Any) -> Any:
    """Load a backbone, its configuration or its tokenizer.

    Args:
        loader: the class whose ``from_pretrained`` loads it.
        settings: name the backbone.
        options: for ``from_pretrained``.

    Raises:
        InputError: it cannot be loaded, or it has code that may not run.
    """
    settings.check_code()
    name = backbone_path(settings.backbone)
    try:
        return loader.from_pretrained(name, trust_remote_code=settings.trust_remote_code, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, ImportError):
            raise InputError(f"model.backbone = {name!r} needs another package: {reason}") from None
        raise InputError(
            f"model.backbone = {name!r} cannot be loaded: it is neither a folder with a model "
            f"nor reachable on the hub from here. Give a local folder, 'embedded', or go online "
            f"({reason})"
        ) from None
