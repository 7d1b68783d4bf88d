"""``[data]``: where the rows are and what their columns are called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from auxfold.config.from_test import FROM_TEST, LabeledExamples
from auxfold.config.row_template import CHAT, parse_template, template_fields
from auxfold.config.section import NAME, Name, PositiveInt, Section
from auxfold.config.trust import CodeSection
from auxfold.errors import nearest


class Source(Section):
    """``[[data.train]]``: one of several data sets, each with the labels that it has."""

    path: str = Field(
        description="The file of this source: csv, tsv, parquet, jsonl or a spreadsheet (also .gz, "
        ".zip, .zst). A plain string instead of a table is its path."
    )
    name: Name | None = Field(
        None,
        description="The name of this source in ids, logs and `--set`. Without it, the name of the "
        "file's folder, or the file's stem where two sources are in equally named folders.",
    )
    rename: dict[str, str] = Field(
        {},
        description="Renames columns: the file's column = its name in this experiment. An empty "
        'name (`label = ""`) means that the column is not read.',
    )

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _distinct_new_names(self) -> Source:
        names = [name for name in self.rename.values() if name]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise ValueError(f"rename gives two columns the name {duplicates[0]!r}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A table, or its path as a plain string."""
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(schema))]}


READER = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"

# Tags tell pydantic which of the two forms was meant, so that its errors are about that one.
TAGS = ("file", "sources")
Sources = Annotated[list[Source], Field(min_length=1)]
TrainFiles = Annotated[
    Annotated[str, Tag("file")] | Annotated[Sources, Tag("sources")],
    Discriminator(lambda value: TAGS[isinstance(value, list | dict)]),
]


class Data(CodeSection):
    """``[data]``: where the rows are and what their columns are called."""

    CODE_KEY = "data.reader"

    train: TrainFiles = Field(
        description="The training file: csv, tsv, parquet, jsonl or a spreadsheet (also .gz, .zip, "
        ".zst). Several files that each have some of the labels are a list, or one "
        "`[[data.train]]` each."
    )
    test: str | None = Field(None, description="The file to predict, in one of the same formats.")
    sample_submission: str | None = Field(
        None,
        description="The competition's sample submission. The submission gets exactly its columns, "
        "its ids and its order.",
    )
    id: str = Field(
        "id",
        description='The column with the id of a row. `""` means that the files have none: rows '
        "are then numbered from 0.",
    )
    text: str | list[str] = Field(
        "text", description="The column with the text, or a list of two columns: a text pair."
    )
    template: str | None = Field(
        None,
        description="The text of a row, in place of `data.text`: any text with the names of "
        'columns in braces, such as `"Rule: {rule}\\nComment: {body}"`. An empty cell leaves its '
        'place empty, and `{{` is a brace. `"chat"` fills the chat template of an instruct model '
        "with `data.user` and `data.system`, up to where its answer would start.",
    )
    system: str | None = Field(
        None,
        description='The system message of `template = "chat"`, with columns in braces as in a '
        "template. Without it, there is none, or the one that the chat template brings.",
    )
    user: str | None = Field(
        None,
        description='The user message of `template = "chat"`, with columns in braces.',
    )
    fields: dict[str, PositiveInt] = Field(
        {},
        description="The most tokens of columns in the template, such as `{ rule = 64 }`: their "
        "texts are cut before the template is filled. A row that is still longer than "
        "`model.max_length` loses tokens of the other columns.",
    )
    group: str | None = Field(
        None, description="A column: rows with an equal value in it stay in one fold."
    )
    split: str | None = Field(
        None,
        description="A column that marks every row as `train`, `dev` (`val`, `validation`) or "
        "`test`. Test rows are not trained on. Where `data.test` is the training file itself, they "
        "are the rows that are predicted. `folds.validation` says what happens to dev rows.",
    )
    group_sizes: list[Annotated[int, Field(ge=2)]] | None = Field(
        None,
        description="The number of classes of each entry of a column `labels` that holds a list in "
        "every row, such as `[2, 0, 1]`. It replaces `[[tasks]]`: each entry becomes a multiclass "
        "task, `labels_0` (the main one), `labels_1`, and so on.",
    )
    encoding: str | None = Field(
        None,
        description="The encoding of data files that are not UTF-8 and have no byte order mark, "
        'such as `"cp1252"` or `"cp1251"` (a name of Python\'s codecs). Without it, CP1252 where '
        "the bytes leave no doubt.",
    )
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None,
        description='The character between the columns of csv and tsv files, such as `";"`, where '
        "the header has it. Without it, the one that gives every row as many cells as the header "
        "(comma, semicolon, tab or vertical bar).",
    )
    max_unpacked_gb: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="The most that a compressed data file (.gz, .zip, .zst, spreadsheets, parquet) "
        "may hold, in gigabytes. Without it, a third of the available memory, or the free disk "
        "where that is less.",
    )
    reader: Annotated[str, Field(pattern=READER)] | None = Field(
        None,
        description="A class of your own that reads the files of `data.train`, `data.test` and "
        '`folds.validation`: `"package.module:Class"`, constructed without arguments, with a '
        "method `read(path)`. An experiment that is stored in a run folder runs it only with "
        "`--trust-reader`.",
    )
    sample_weight: str | None = Field(
        None,
        description="A column of weights >= 0, by which the losses of a row are multiplied in "
        "every task: one number per row, or a list with one number per task.",
    )
    rows: PositiveInt | None = Field(
        None,
        description="Train on this number of rows only, sampled so that every label keeps its "
        "share. Without it, on all rows.",
    )
    test_labels: str | None = Field(
        None,
        description="A file with released labels of test rows. With it, `evaluate` also scores the "
        "ensemble of all folds on them, next to each single fold.",
    )
    from_test: list[LabeledExamples] = Field(
        [],
        description="Labeled examples of the test file that become training rows. They are in no "
        "validation fold.",
    )

    @property
    def id_column(self) -> str:
        """What the id column is called in what is written."""
        return self.id or "row"

    @property
    def text_columns(self) -> list[str]:
        """The columns with texts: the one or two of ``text``, or the fields of the template."""
        if self.template == CHAT:
            return template_fields(self.system or "", self.user or "")
        if self.template is not None:
            return template_fields(self.template)
        return [self.text] if isinstance(self.text, str) else list(self.text)

    @property
    def is_pair(self) -> bool:
        """Whether a row is a text pair, which a tokenizer reads as two texts."""
        return self.template is None and len(self.text_columns) == 2

    @property
    def sources(self) -> list[Source]:
        """The training files; one file is a single source."""
        return [Source(path=self.train)] if isinstance(self.train, str) else self.train

    @property
    def source_names(self) -> list[str]:
        """The name of every source: the one in the experiment file, else its folder's or stem."""
        paths = [Path(source.path) for source in self.sources]
        folders = [path.parent.name for path in paths]
        are_distinct = len(set(folders)) == len(folders) and "" not in folders
        defaults = folders if are_distinct else [path.name.split(".")[0] for path in paths]
        return [source.name or name for source, name in zip(self.sources, defaults, strict=True)]

    @property
    def row_sources(self) -> list[str]:
        """The name of every source in `Table.sources`; that of `from_test` comes last."""
        return [*self.source_names, *([FROM_TEST] if self.from_test else [])]

    @property
    def examples_path(self) -> str:
        """Where the rows of `from_test` are, for a person."""
        return f"{self.test} (data.from_test)"

    @property
    def path(self) -> str:
        """Where the training rows are, for a person."""
        examples = [self.examples_path] if self.from_test else []
        return " + ".join([*(source.path for source in self.sources), *examples])

    def marks_test_rows(self, path: str) -> bool:
        """Whether a file to predict is a training file whose column ``split`` marks test rows."""
        return self.split is not None and path in (source.path for source in self.sources)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        try:
            b"".decode(value or "utf-8")
        except LookupError:
            raise ValueError(f"Python has no encoding {value!r}; such as cp1252, utf-8") from None
        return value

    @field_validator("separator")
    @classmethod
    def _usable_separator(cls, value: str | None) -> str | None:
        if value is not None and (value in '"\r\n' or not value.isascii()):
            raise ValueError(f"{value!r} cannot separate columns; such as ';'")
        return value

    @field_validator("template", "system", "user")
    @classmethod
    def _readable_template(cls, value: str | None) -> str | None:
        parse_template(value or "")
        return value

    @model_validator(mode="after")
    def _one_or_two_texts(self) -> Data:
        if self.template is None and not 1 <= len(self.text_columns) <= 2:
            raise ValueError(
                "text takes one column name or a list of two (a pair); template takes any number"
            )
        return self

    @model_validator(mode="after")
    def _chat_has_messages(self) -> Data:
        for key in ("system", "user"):
            if self.template != CHAT and getattr(self, key) is not None:
                raise ValueError(f"{key} is not read without template = {CHAT!r}")
        if self.template == CHAT and not template_fields(self.user or ""):
            raise ValueError(
                f"template = {CHAT!r} needs user, a message with columns in braces, such as "
                f'"{{body}}"'
            )
        for name in template_fields(self.system or ""):
            if name not in self.fields:
                raise ValueError(
                    f"system has the column {name!r}, whose texts may be longer than the model; "
                    f"give it a number of tokens in fields, or write it into user"
                )
        return self

    @model_validator(mode="after")
    def _template_has_fields(self) -> Data:
        if self.template is None:
            if self.fields:
                raise ValueError("fields is not read without template, which names the columns")
            return self
        if self.text != type(self).model_fields["text"].default:
            raise ValueError("template names the columns with texts; leave out text")
        columns = self.text_columns
        if not columns:
            raise ValueError('template names no column in braces, such as "{body}"')
        for name in self.fields:
            if name not in columns:
                raise ValueError(
                    f"fields has {name!r}{nearest(name, columns)}, which is not in the template; "
                    f"its columns are {', '.join(columns)}"
                )
        return self

    @model_validator(mode="after")
    def _sources_have_names(self) -> Data:
        names = self.row_sources
        for name in names if len(self.sources) > 1 else []:
            if names.count(name) > 1:
                raise ValueError(f"two sources of data.train are called {name!r}; give each a name")
            if not re.fullmatch(NAME, name):
                raise ValueError(f"a source of data.train needs a name; {name!r} cannot be one")
        return self
