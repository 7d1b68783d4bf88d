"""What the dataset and the notebook of a bundle are called on Kaggle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError


@dataclass(frozen=True)
class KaggleNames:
    """What the dataset and the notebook are called on Kaggle.

    Titles have 6 to 50 characters, slugs are the titles in lower case with dashes: Kaggle refuses a
    notebook whose slug is not its title's.

    Raises:
        InputError: a name that Kaggle would refuse.
    """

    owner: str
    title: str
    competition: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.owner):
            raise InputError(
                f"--owner {self.owner!r}: your Kaggle user name as it stands in your profile's "
                f"address, lower-case letters, digits and dashes"
            )
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.competition):
            raise InputError(
                f"--competition {self.competition!r}: the name in the competition's address, "
                f"lower-case letters, digits and dashes"
            )
        for title in (self.title, self.notebook_title):
            if not re.fullmatch(r"[A-Za-z0-9]+([ -][A-Za-z0-9]+)*", title):
                raise InputError(
                    f"--title {title!r}: Kaggle makes the address from it; use letters, digits, "
                    f"single spaces and dashes"
                )
            if not 6 <= len(title) <= 50:
                raise InputError(
                    f"--title {title!r} has {len(title)} characters; Kaggle takes 6 to 50"
                )

    @property
    def notebook_title(self) -> str:
        """The title of the notebook; Kaggle makes its slug from it."""
        return f"{self.title} inference"

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
    """The competition's name: that of the folder in ``input/`` which its test file lies in."""
    if experiment.data.test is None:
        raise InputError("the experiment has no data.test; give --competition")
    return Path(experiment.data.test).parent.name
