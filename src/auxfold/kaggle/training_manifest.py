"""The manifest of a training bundle, which both sides of it share.

The first cell of the notebook reads it before packages are installed, so that only the standard
library is imported here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from auxfold.errors import InputError

TRAINING_MANIFEST = "auxfold_training.json"
SOURCE, BACKBONE, WHEELS, FILES = "src", "backbone", "wheels", "files"  # folders of the bundle
_TYPES: dict[str, Any] = {
    "experiment": str, "competition": str, "folds": list, "hours": float, "gpus_per_fold": int,
    "backbone": (str, type(None)), "paths": dict, "requirements": list, "files": dict,
}  # fmt: skip


def read_training_manifest(bundle: Path) -> dict[str, Any]:
    """The manifest of a training bundle.

    ==================  =========================================================================
    ``experiment``      its name
    ``competition``     the name of the competition whose test file is predicted
    ``folds``           what is trained, in this order: numbers of folds, or ``full``
    ``hours``           the time budget
    ``gpus_per_fold``   how many GPUs train one fold together
    ``backbone``        the Kaggle model or dataset with the backbone; None: it is in the bundle
    ``paths``           path at home to its ``path``, whether that is in the bundle (``bundled``),
                        and its ``columns``
    ``requirements``    the packages that are needed, in pip's form
    ``files``           path in the bundle to SHA-256
    ==================  =========================================================================

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = bundle / TRAINING_MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for key, kind in _TYPES.items():
            if not isinstance(manifest[key], kind):
                raise ValueError(f"{key!r} is of another type")
    except FileNotFoundError:
        raise InputError(
            f"no {path}; attach the dataset that scripts/bundle_kaggle.py --train wrote"
        ) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path} is damaged ({error}); bundle again, and upload the dataset again"
        ) from None
    content: dict[str, Any] = manifest
    return content
