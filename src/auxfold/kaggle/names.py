"""Names of a bundle's dataset and notebook on Kaggle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError

MIN_TITLE, MAX_TITLE = 6, 50
MODEL_PARTS, DATASET_PARTS = 5, 2  # of owner/model/framework/variation/version and owner/slug


@dataclass(frozen=True)
class KaggleNames:
    """Names of the dataset and the notebook on Kaggle.

    A title has 6 to 50 characters. A slug is the title in lower case with dashes, and Kaggle
    refuses a notebook whose slug does not match its title.

    Attributes:
        owner: the user name on Kaggle.
        title: the title of the dataset.
        competition: the name in the competition's address.
        purpose: what the title of the notebook ends with.

    Raises:
        InputError: a name that Kaggle would refuse.
    """

    owner: str
    title: str
    competition: str
    purpose: str = "inference"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.owner):
            raise InputError(
                f"--owner {self.owner!r}: expected is your Kaggle user name as in your profile's "
                f"address, with lower-case letters, digits and dashes"
            )
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.competition):
            raise InputError(
                f"--competition {self.competition!r}: expected is the name in the competition's "
                f"address, with lower-case letters, digits and dashes"
            )
        if not re.fullmatch(r"[A-Za-z0-9]+([ -][A-Za-z0-9]+)*", self.title):
            raise InputError(
                f"--title {self.title!r}: Kaggle makes the address from it; use letters, digits, "
                f"single spaces and dashes"
            )
        for what, title in (("dataset", self.title), ("notebook", self.notebook_title)):
            if not MIN_TITLE <= len(title) <= MAX_TITLE:
                longest = MAX_TITLE - len(self.notebook_title) + len(self.title)
                raise InputError(
                    f"--title {self.title!r}: the {what} would be called {title!r}, which has "
                    f"{len(title)} characters; Kaggle takes {MIN_TITLE} to {MAX_TITLE}, so give "
                    f"a title of {MIN_TITLE} to {longest}"
                )

    @property
    def notebook_title(self) -> str:
        """The title of the notebook; Kaggle makes its slug from it."""
        return f"{self.title} {self.purpose}"

    @property
    def dataset(self) -> str:
        """``owner/slug`` of the dataset."""
        return f"{self.owner}/{slugify(self.title)}"

    @property
    def notebook(self) -> str:
        """``owner/slug`` of the notebook."""
        return f"{self.owner}/{slugify(self.notebook_title)}"


def slugify(title: str) -> str:
    """The end of the address that Kaggle makes from a title."""
    return title.lower().replace(" ", "-")


def competition_name(experiment: Experiment) -> str:
    """The competition's name: that of the folder in ``input/`` that holds its test file.

    Raises:
        InputError: the experiment has no test file.
    """
    if experiment.data.test is None:
        raise InputError("the experiment has no data.test; give --competition")
    return competition_folder(experiment.data.test).name


def competition_folder(test: str) -> Path:
    """The folder at home with the competition's files, by the path of its test file."""
    return Path(test).parents[len(path_in_competition(test).parts) - 1]


def check_backbone_source(source: str) -> None:
    """Refuse what names neither a model nor a dataset on Kaggle.

    Raises:
        InputError: with the forms that such a name has.
    """
    parts = source.split("/")
    is_known = len(parts) in (DATASET_PARTS, MODEL_PARTS)
    if not is_known or not all(re.fullmatch(r"[A-Za-z0-9][\w.-]*", part) for part in parts):
        raise InputError(
            f"--backbone-source {source}: expected is a Kaggle model, "
            f"owner/model/framework/variation/version, or a dataset, owner/name"
        )


def is_kaggle_model(source: str) -> bool:
    """Whether a source is a Kaggle model and not a dataset."""
    return source.count("/") == MODEL_PARTS - 1


def path_in_competition(path: str) -> PurePath:
    """The path of a file within its competition's folder.

    That folder is in ``input/``, maybe in ``input/competitions/``; without any such folder it is
    the one with the file.
    """
    file = PurePath(path)
    if "input" not in file.parent.parts:
        return PurePath(file.name)
    below = file.parts[file.parts.index("input") + 1 :]
    below = below[1:] if below[0] == "competitions" and len(below) > 2 else below
    return PurePath(*below[1:]) if len(below) > 1 else PurePath(file.name)
