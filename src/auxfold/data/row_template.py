"""The columns of a row as one text: a template, or the chat template of an instruct model."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from auxfold.config import Data
from auxfold.config.row_template import CHAT, parse_template
from auxfold.errors import InputError

# What a chat template writes as today's date, so that predictions do not depend on the day. Llama's
# own templates write it where they know no date.
TODAY = datetime(2024, 7, 26)
_TODAY = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")
_USER_MESSAGE = "the user message of auxfold"  # any text that no chat template has


class FilledTemplate(NamedTuple):
    """A template with the texts of a row in it.

    Attributes:
        text: the whole text.
        start: the position in ``text`` before which truncation takes nothing away.
        end: the position from which on it takes nothing away.
    """

    text: str
    start: int
    end: int


class RowTemplate:
    """Fills ``data.template``, or the chat template of a tokenizer, with the texts of rows.

    Args:
        data: ``[data]``, with a template.
        tokenizer: a fast tokenizer of Hugging Face.

    Raises:
        InputError: the tokenizer is not a fast one, or its chat template cannot be used.
    """

    def __init__(self, data: Data, tokenizer: Any) -> None:
        assert data.template is not None, "without a template, texts are read as they are"
        if not tokenizer.is_fast:
            raise InputError(
                f"data.template needs a fast tokenizer, which says where tokens begin; "
                f"{type(tokenizer).__name__} is none: take another backbone, or data.text"
            )
        self.tokenizer, self.columns, self.budgets = tokenizer, data.text_columns, data.fields
        self.is_chat = data.template == CHAT
        self._message = _Message((data.user or "") if self.is_chat else data.template, data.fields)
        self._system = None if data.system is None else _Message(data.system, data.fields)
        self._chat_template = _read_chat_template(tokenizer) if self.is_chat else ""
        self._frames: dict[str | None, tuple[str, str]] = {}

    def fill(self, columns: Sequence[Sequence[str]]) -> list[FilledTemplate]:
        """The template with the texts of every row.

        Args:
            columns: one sequence of strings per column of the template, in the order of
                ``data.text_columns``.

        Raises:
            InputError: the chat template refuses the messages.
        """
        cut = [self._cut(name, texts) for name, texts in zip(self.columns, columns, strict=True)]
        rows = [dict(zip(self.columns, row, strict=True)) for row in zip(*cut, strict=True)]
        messages = [self._message.fill(row) for row in rows]
        if not self.is_chat:
            return messages
        systems = [None if self._system is None else self._system.fill(row).text for row in rows]
        chats = self._render(systems, [message.text for message in messages])
        return [
            _locate(chat, message, *self._frame(system))
            for chat, message, system in zip(chats, messages, systems, strict=True)
        ]

    def n_reserved(self) -> int:
        """The most tokens of a row that truncation takes nothing away from, about.

        They are those of the template without texts, and of the columns with a number of tokens
        before or after all columns without one, or in the system message.
        """
        (empty,) = self.fill([[""] for _ in self.columns])
        literal = self.tokenizer(empty.text, add_special_tokens=False)["input_ids"]
        in_system = [] if self._system is None else self._system.parts
        n_in_system = sum(self.budgets.get(part.field or "", 0) for part in in_system)
        return len(literal) + self._message.n_reserved + n_in_system

    def fingerprint(self) -> str:
        """Equal for templates that give the same texts."""
        content = {
            "columns": self.columns,
            "fields": self.budgets,
            "message": self._message.parts,
            "system": None if self._system is None else self._system.parts,
            "chat": self._chat_template,
            "tokens": self.tokenizer.special_tokens_map if self.is_chat else {},
        }
        return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()

    def _cut(self, name: str, texts: Sequence[str]) -> Sequence[str]:
        """The texts of a column, cut to its number of tokens where it has one."""
        if name not in self.budgets:
            return texts
        distinct = list(dict.fromkeys(texts))  # a rule comes in many rows
        encodings = self.tokenizer(distinct, add_special_tokens=False, verbose=False).encodings
        first_tokens = {
            text: _first_tokens(text, encoding.offsets, self.budgets[name])
            for text, encoding in zip(distinct, encodings, strict=True)
        }
        return [first_tokens[text] for text in texts]

    def _frame(self, system: str | None) -> tuple[str, str]:
        """What a chat has before and after the user's message."""
        if system not in self._frames:
            (chat,) = self._render([system], [_USER_MESSAGE])
            before, message, after = chat.partition(_USER_MESSAGE)
            if not message:
                raise InputError(
                    "the chat template of the backbone's tokenizer does not write the message of "
                    "the user; write the text as a template instead of data.template = 'chat'"
                )
            self._frames[system] = before, after
        return self._frames[system]

    def _render(self, systems: Sequence[str | None], users: Sequence[str]) -> list[str]:
        """The chat of every row, up to where the answer would start."""
        from jinja2 import TemplateError  # not at the top: only chats need it

        chats = []
        for system, user in zip(systems, users, strict=True):
            message = {"role": "user", "content": user}
            start = [] if system is None else [{"role": "system", "content": system}]
            chats.append([*start, message])
        try:
            rendered: list[str] = self.tokenizer.apply_chat_template(
                chats,
                chat_template=self._chat_template,
                add_generation_prompt=True,
                tokenize=False,
            )
        except ImportError as error:  # an old version of jinja2
            raise InputError(f"data.template = 'chat': {str(error).splitlines()[0]}") from None
        except TemplateError as error:
            advice = "write it into data.user" if systems[0] is not None else "use a template"
            raise InputError(
                f"the chat template of the backbone's tokenizer refuses the "
                f"{'system message' if systems[0] is not None else 'message'} "
                f"({(str(error) or type(error).__name__).splitlines()[0]}); {advice} instead"
            ) from None
        return rendered


class _Message:
    """A text with columns in braces.

    Attributes:
        parts: literal text and columns, in their order.
        n_reserved: the tokens of the columns that truncation takes nothing away from.
    """

    def __init__(self, text: str, budgets: dict[str, int]) -> None:
        self.parts = parse_template(text)
        fields = [i for i, part in enumerate(self.parts) if part.field is not None]
        cut_last = [i for i in fields if self.parts[i].field not in budgets] or fields or [-1]
        self._first, self._last = cut_last[0], cut_last[-1]
        self.n_reserved = sum(
            budgets.get(part.field or "", 0)
            for number, part in enumerate(self.parts)
            if not self._first <= number <= self._last
        )

    def fill(self, row: dict[str, str]) -> FilledTemplate:
        """The message with the texts of a row, by column."""
        text, start, end = "", 0, 0
        for number, (literal, field) in enumerate(self.parts):
            text += literal
            if number == self._first:
                start = len(text)
            if field is not None:
                text += row[field]
            if number == self._last:
                end = len(text)
        return FilledTemplate(text, start, end)


def _read_chat_template(tokenizer: Any) -> str:
    """The chat template of a tokenizer, in which today's date is always the same.

    Raises:
        InputError: there is none, or it needs the present day.
    """
    try:
        template: str = tokenizer.get_chat_template()
    except ValueError:
        raise InputError(
            "data.template = 'chat', but the backbone's tokenizer has no chat template, as "
            "instruct models have one; write the text as a template, such as 'Comment: {body}'"
        ) from None
    template = _TODAY.sub(lambda match: repr(TODAY.strftime(match[2])), template)
    if "strftime_now(" in template:
        raise InputError(
            "data.template = 'chat': the chat template of the backbone's tokenizer writes the "
            "present date, on which predictions would depend; write the text as a template instead"
        )
    return template


def _first_tokens(text: str, offsets: list[tuple[int, int]], n_tokens: int) -> str:
    """The text of the first tokens. Of a character that takes several, all are there or none."""
    if len(offsets) <= n_tokens:
        return text
    return text[: min(offsets[n_tokens - 1][1], offsets[n_tokens][0])]


def _locate(chat: str, message: FilledTemplate, before: str, after: str) -> FilledTemplate:
    """A chat, and the part of the user's message in it that may be cut."""
    content = chat[len(before) : len(chat) - len(after)]
    if not (chat.startswith(before) and chat.endswith(after)):
        return FilledTemplate(chat, 0, len(chat))  # it looks at what the message says
    shift = 0
    if content != message.text:
        if content != message.text.strip():
            return FilledTemplate(chat, len(before), len(before) + len(content))
        shift = len(message.text) - len(message.text.lstrip())
    start, end = (
        len(before) + min(max(position - shift, 0), len(content))
        for position in (message.start, message.end)
    )
    return FilledTemplate(chat, start, end)
