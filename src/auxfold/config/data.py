"""``[data]`` and ``[folds]``: the rows, and how they are divided."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from auxfold.config.section import NAME, Name, PositiveInt, Section, Seed


class Source(Section):
    """``[[data.train]]``: one of several data sets, each with the labels that it has."""

    path: str  # csv, tsv, parquet or jsonl (.gz, .zip)
    name: Name | None = None  # empty: the file's folder, or its stem where folders are equal
    rename: dict[str, str] = {}  # the file's column = its name here; = "": not read

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _renamed_apart(self) -> Source:
        names = [name for name in self.rename.values() if name]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rename gives two columns the name {twice[0]!r}")
        return self


READER = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"

# Tags tell pydantic which of the two was meant, so that its errors are about that one.
TAGS = ("file", "sources")
Sources = Annotated[list[Source], Field(min_length=1)]
TrainFiles = Annotated[
    Annotated[str, Tag("file")] | Annotated[Sources, Tag("sources")],
    Discriminator(lambda given: TAGS[isinstance(given, list | dict)]),
]


class Data(Section):
    """``[data]``: where the rows are and what their columns are called."""

    train: TrainFiles  # csv, tsv, parquet or jsonl (.gz, .zip); or [[data.train]], see Source
    test: str | None = None
    sample_submission: str | None = None
    id: str = "id"  # "": the file has none, its rows are numbered from 0
    text: str | list[str] = "text"  # two names: a text pair
    group: str | None = None  # rows with an equal value stay in one fold
    group_sizes: list[Annotated[int, Field(ge=2)]] | None = None  # of labels = [2, 0, 1]: classes
    reader: Annotated[str, Field(pattern=READER)] | None = (
        None  # "package.module:Reader", own files
    )
    sample_weight: str | None = None  # a column of weights >= 0: one number, or a list by task
    rows: PositiveInt | None = None  # train on so many rows only, drawn evenly in every label
    test_labels: str | None = None  # released labels of test rows: scores the ensemble by fold

    @property
    def id_column(self) -> str:
        """What the id column is called in what is written."""
        return self.id or "row"

    @property
    def text_columns(self) -> list[str]:
        """The one or two text columns."""
        return [self.text] if isinstance(self.text, str) else list(self.text)

    @property
    def sources(self) -> list[Source]:
        """The training files; one file is a single source."""
        return [Source(path=self.train)] if isinstance(self.train, str) else self.train

    @property
    def source_names(self) -> list[str]:
        """Of every source the name that was given to it, else its folder's or its stem."""
        paths = [Path(source.path) for source in self.sources]
        folders = [path.parent.name for path in paths]
        apart = len(set(folders)) == len(folders) and "" not in folders
        found = folders if apart else [path.name.split(".")[0] for path in paths]
        return [source.name or name for source, name in zip(self.sources, found, strict=True)]

    @property
    def path(self) -> str:
        """Where the training rows are, for a person."""
        return " + ".join(source.path for source in self.sources)

    @model_validator(mode="after")
    def _one_or_two_texts(self) -> Data:
        if not 1 <= len(self.text_columns) <= 2:
            raise ValueError("text takes one column name or a list of two (a pair)")
        return self

    @model_validator(mode="after")
    def _sources_have_names(self) -> Data:
        names = self.source_names
        for name in names if len(names) > 1 else []:
            if names.count(name) > 1:
                raise ValueError(f"two sources of data.train are called {name!r}; give each a name")
            if not re.fullmatch(NAME, name):
                raise ValueError(f"a source of data.train needs a name; {name!r} cannot be one")
        return self


def _one_split(given: Any) -> Any:
    whole = isinstance(given, int) and not isinstance(given, bool)
    share = isinstance(given, float) and 0.0 < given < 1.0
    if given is None or (isinstance(given, str) and given) or share or (whole and given > 0):
        return given
    raise ValueError("takes a file, a share between 0 and 1, or a number of rows")


class Folds(Section):
    """``[folds]``: how rows are divided for cross-validation."""

    n_splits: Annotated[int, Field(ge=2)] = 5
    seed: Seed | None = None  # empty: the experiment's seed
    group_duplicates: bool = True  # equal texts (case, space, punctuation apart) share a fold
    # One split instead of folds, called fold 0: a file, a share of the rows, or a number of rows.
    validation: Annotated[str | float | int | None, BeforeValidator(_one_split)] = None

    @property
    def names(self) -> range:
        """The numbers of the folds: 0 alone where ``validation`` is one split."""
        return range(self.n_splits if self.validation is None else 1)
