"""Whether the Python code that an experiment names may run: only if the experiment is one's own.

``data.reader`` and ``model.trust_remote_code`` name code. A run folder may come from somebody else.
So an experiment that is read from one runs no code, unless the caller says that it may.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import PrivateAttr

from auxfold.config.section import Section
from auxfold.errors import InputError

OUTPUTS = Path("outputs")
# By which a run folder and its folds are known: the experiment, and the record next to it.
EXPERIMENT_FILE = "experiment.toml"
FOLD_RECORD, FOLDS_RECORD = "run.json", "folds.json"


class CodeSection(Section):
    """A section with a key that names Python code.

    Attributes:
        CODE_KEY: the key with the names of its sections, such as ``data.reader``.
    """

    CODE_KEY: ClassVar[str]

    # The file of a run from which the section was read; None: one's own.
    _stored_in: Path | None = PrivateAttr(None)

    @property
    def code(self) -> object:
        """The value of the key; false where no code is named."""
        return getattr(self, self.CODE_KEY.split(".")[-1])

    @property
    def stored_in(self) -> Path | None:
        """The file of a run because of which the code may not run; None: it may."""
        return self._stored_in

    def with_origin(self, stored_in: Path | None) -> Self:
        """The same section, read from a file of a run, or for None one's own."""
        section = self.model_copy()
        # Without code the origin does not matter, and equal sections remain equal.
        section._stored_in = stored_in if self.code else None
        return section

    def check_code(self) -> None:
        """Refuse to run the code of somebody else.

        Raises:
            InputError: the section names code and is stored with a run.
        """
        if self.code and self._stored_in is not None:
            value = str(self.code).lower() if isinstance(self.code, bool) else repr(self.code)
            raise InputError(
                f"{self._stored_in} names Python code, {self.CODE_KEY} = {value}, and is stored "
                f"with a run, which may be somebody else's; give your own experiment file with "
                f"--config, or --trust-reader (in Python trust_reader=True) if you know this code"
            )


def is_in_run_folder(path: Path) -> bool:
    """Whether a file is in ``outputs/``, in a run folder or in a fold, at any depth.

    Links count both as they are named and as they are resolved.
    """
    outputs = {OUTPUTS.absolute(), OUTPUTS.resolve()}
    folders = {*path.absolute().parents, *path.resolve().parents}
    return any(folder in outputs or _is_run_folder(folder) for folder in folders)


def _is_run_folder(folder: Path) -> bool:
    if (folder / EXPERIMENT_FILE).is_file():
        records = (folder / FOLD_RECORD, folder / FOLDS_RECORD)
        if any(record.is_file() for record in records):
            return True
    return any(folder.glob(f"fold_*/{EXPERIMENT_FILE}"))
