"""Names of a bundle's dataset and notebook on Kaggle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError


@dataclass(frozen=True)
class KaggleNames:
    """Names of the dataset and the notebook on Kaggle.

    A title has 6 to 50 characters. A slug is the title in lower case with dashes, and Kaggle
    refuses a notebook whose slug does not match its title.

    Attributes:
        owner: the user name on Kaggle.
        title: the title of the dataset.
        competition: the name in the competition's address.

    Raises:
        InputError: a name that Kaggle would refuse.
    """

    owner: str
    title: str
    competition: str

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
    """The competition's name: that of the folder in ``input/`` that holds its test file.

    Raises:
        InputError: the experiment has no test file.
    """
    if experiment.data.test is None:
        raise InputError("the experiment has no data.test; give --competition")
    return Path(experiment.data.test).parent.name
