"""Columns become one text: the template's, or a chat as transformers writes it."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import AutoTokenizer

from auxfold.config import Data, Model
from auxfold.data.dataset import TokenizedDataset, tokenize_dataset
from auxfold.data.row_template import FilledTemplate, RowTemplate
from auxfold.data.token_store import TokenColumn
from auxfold.errors import InputError
from chat_templates import write_chat_tokenizer
from conftest import make_tokenizer
from tokenizer_kinds import SLOW, TEXTS, TOKENIZERS, write_tokenizer

RULE, BODY = ["rain is bad", "", "goose"], ["the garden is good", "soup", ""]
SECOND_TEXTS = TEXTS[::-1]


def make_data(template: str = "chat", **settings: object) -> Data:
    return Data(train="t", template=template, **settings)


def tokenize(
    columns: list[list[str]], data: Data, max_length: int = 500, tokenizer=None, **settings
) -> TokenizedDataset:
    model = Model(backbone="tiny", max_length=max_length, **settings)
    return tokenize_dataset(columns, tokenizer or make_tokenizer(), model, None, data)


def row_ids(dataset: TokenizedDataset, index: int, window: int = 0) -> list[int]:
    return dataset.batch(np.array([index]), False, window)["input_ids"][0].tolist()


def ids_of(words: str) -> list[int]:
    return make_tokenizer()(words)["input_ids"]


def test_a_template_has_the_texts_of_a_row_and_empty_ones_too():
    template = RowTemplate(make_data("{rule}: {body}/{rule} {{a}}"), make_tokenizer())
    texts = [row.text for row in template.fill([RULE, BODY])]
    assert texts == [
        "rain is bad: the garden is good/rain is bad {a}",
        ": soup/ {a}",
        "goose: /goose {a}",
    ]


def test_the_whole_text_is_tokenized():
    dataset = tokenize([RULE, BODY], make_data("rain {rule} the {body} train"))
    assert row_ids(dataset, 0) == ids_of("rain rain is bad the the garden is good train")
    assert row_ids(dataset, 1) == ids_of("rain the soup train")
    assert dataset.lengths().tolist() == [12, 6, 6]
    assert dataset.batch(np.arange(3))["token_type_ids"].sum() == 0


def test_columns_are_cut_first_to_their_tokens():
    data = make_data("{rule} soup {body}", fields={"rule": 2, "body": 3})
    dataset = tokenize([["rain is bad", "goose goose"], BODY[:2]], data)
    assert row_ids(dataset, 0) == ids_of("rain is soup the garden is")
    assert row_ids(dataset, 1) == ids_of("goose goose soup soup")


def test_what_is_too_long_is_cut_from_columns_without_a_number():
    data = make_data("a {rule} was {body} not {rule} train", fields={"rule": 2})
    dataset = tokenize([["rain is bad", "goose"], ["the garden is good", "soup"]], data, 13)
    assert row_ids(dataset, 0) == ids_of("a rain is was the garden is not rain is train")
    assert row_ids(dataset, 1) == ids_of("a goose was soup not goose train")
    # Without any number it is the first and the last column between which tokens go.
    data = make_data("a {rule} was {body} train")
    dataset = tokenize([["rain is bad"], ["the garden is good"]], data, 9)
    assert row_ids(dataset, 0) == ids_of("a rain is bad was the train")


def test_head_and_tail_and_windows_are_those_of_the_columns_without_a_number():
    data, columns = make_data("a {rule} was {body} not", fields={"rule": 1}), [["goose"]]
    columns.append(["the garden is good bad rain soup"])
    dataset = tokenize(columns, data, 9, truncation="head_tail", head_fraction=0.5)
    assert row_ids(dataset, 0) == ids_of("a goose was the garden soup not")
    dataset = tokenize(columns, data, 9, truncation="windows", window_stride=2)
    assert dataset.n_windows().tolist() == [3]
    windows = [row_ids(dataset, 0, number) for number in range(3)]
    assert windows == [
        ids_of(f"a goose was {part} not")
        for part in ("the garden is", "is good bad", "bad rain soup")
    ]


@pytest.mark.parametrize("kind", sorted(TOKENIZERS.keys() - SLOW))
def test_every_tokenizer_keeps_the_frame(tmp_path, kind):
    """Its tokens are those of the whole text, and both ends stay where a row is cut."""
    tokenizer = AutoTokenizer.from_pretrained(write_tokenizer(kind, tmp_path))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    data = make_data("rain {rule} soup {body} garden?", fields={"rule": 4})
    template = RowTemplate(data, tokenizer)
    columns = [SECOND_TEXTS, [f"{text} and a {text}" for text in TEXTS]]
    whole = tokenize(columns, data, 4_000, tokenizer)
    n_special, n_reserved = whole.template.n_tokens, template.n_reserved()
    cut = tokenize(columns, data, n_special + n_reserved + 6, tokenizer)
    before, after = whole.columns[0].frame(np.arange(len(whole)))
    n_start, n_end = len(whole.template.segments[0]), len(whole.template.segments[1])
    for index, row in enumerate(template.fill(columns)):
        ids = tokenizer(row.text)["input_ids"]
        assert row_ids(whole, index) == ids
        assert row.text[row.start : row.end] == columns[1][index]
        rule = row.text[5 : row.start - 6]
        assert columns[0][index].startswith(rule)
        assert len(tokenizer(rule, add_special_tokens=False)["input_ids"]) <= 4
        # What is missing is one run of tokens, all of them of the text that may be cut.
        n_tail = after[index] + n_end
        assert after[index] > 0 and n_start + before[index] < cut.max_length - n_tail
        if len(ids) > cut.max_length:
            ids = ids[: cut.max_length - n_tail] + ids[len(ids) - n_tail :]
        assert row_ids(cut, index) == ids


def test_a_text_is_cut_before_a_character_that_does_not_fit(tmp_path):
    """A byte-level tokenizer has several tokens for it, all of which say where it is."""
    tokenizer = AutoTokenizer.from_pretrained(write_tokenizer("qwen2", tmp_path))
    text = "a \N{SMILING FACE WITH SUNGLASSES}\N{PILE OF POO} b"
    n_tokens = len(tokenizer(text)["input_ids"])
    cuts = []
    for n in range(1, n_tokens + 1):
        template = RowTemplate(make_data("{body}", fields={"body": n}), tokenizer)
        (row,) = template.fill([[text]])
        assert text.startswith(row.text) and len(tokenizer(row.text)["input_ids"]) <= n
        cuts.append(row.text)
    assert cuts[-1] == text and len({*cuts}) > 2


SYSTEM, USER = "You judge by {rule}.", "\n Rule: {rule}\n{body}? "
FIELDS = {"rule": 12}


@pytest.mark.parametrize(
    ("name", "has_system"),
    [("qwen", True), ("qwen", False), ("llama", True), ("llama", False), ("gemma", False)],
)
def test_a_chat_is_as_transformers_writes_it(tmp_path, name, has_system):
    tokenizer = AutoTokenizer.from_pretrained(write_chat_tokenizer(name, tmp_path))
    data = make_data(user=USER, system=SYSTEM if has_system else None, fields=FIELDS)
    dataset = tokenize([RULE, BODY], data, tokenizer=tokenizer)
    for index, (rule, body) in enumerate(zip(RULE, BODY, strict=True)):
        chat = [{"role": "user", "content": USER.format(rule=rule, body=body)}]
        if has_system:
            chat = [{"role": "system", "content": SYSTEM.format(rule=rule)}, *chat]
        expected = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, date_string="26 Jul 2024"
        )["input_ids"]
        assert row_ids(dataset, index) == expected
    # A row that is too long keeps the frame: the turns of the chat around what people say.
    body = "the garden is good " * 100
    cut, whole = (
        tokenizer.decode(row_ids(tokenize([RULE[:1], [body]], data, n, tokenizer), 0))
        for n in (330, 4_000)
    )
    before, _, after = cut.partition("the garden")
    end = whole[whole.rindex("?") :]
    assert whole.startswith(before) and "Rule: rain is bad" in before
    assert after.endswith(end) and len(end) > 10 and len(cut) < len(whole)


def test_what_is_never_cut_is_counted(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(write_chat_tokenizer("qwen", tmp_path))
    data = make_data(user="{rule}: {body}", system=SYSTEM, fields=FIELDS)
    frame = tokenizer.apply_chat_template(
        [{"role": "system", "content": "You judge by ."}, {"role": "user", "content": ": "}],
        add_generation_prompt=True,
    )["input_ids"]
    assert RowTemplate(data, tokenizer).n_reserved() == len(frame) + 2 * 12
    every_column = make_data(user="{rule}: {body}", fields={"rule": 12, "body": 30})
    literal = RowTemplate(make_data(user="{rule}: {body}"), tokenizer).n_reserved()
    assert RowTemplate(every_column, tokenizer).n_reserved() == literal


def test_the_day_does_not_matter(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(write_chat_tokenizer("llama", tmp_path))
    (row,) = RowTemplate(make_data(user="{body}"), tokenizer).fill([["goose"]])
    assert "Today Date: 26 Jul 2024\n" in row.text
    assert row.text[row.start : row.end] == "goose"


def test_a_chat_template_that_looks_at_what_is_said(tmp_path):
    """Nothing is known of where the message is, so the row is cut as a whole."""
    template = "{% set said = messages[0]['content'] %}{{ said | upper }}{{ said | length }}"
    tokenizer = AutoTokenizer.from_pretrained(write_chat_tokenizer("qwen", tmp_path, template))
    data = make_data(user="{body}")
    with pytest.raises(InputError, match="does not write the message of the user"):
        RowTemplate(data, tokenizer).fill([["goose"]])
    template = (
        "{% if 'z' in messages[0]['content'] %}z{% endif %}said: {{ messages[0]['content'] }}"
    )
    tokenizer = AutoTokenizer.from_pretrained(write_chat_tokenizer("qwen", tmp_path, template))
    assert RowTemplate(data, tokenizer).fill([["goose", "z"]]) == [
        FilledTemplate("said: goose", 6, 11),
        FilledTemplate("zsaid: z", 0, 8),
    ]


@pytest.mark.parametrize(
    ("name", "chat_template", "settings", "expected"),
    [
        ("gemma", None, {"system": "Be kind."}, "refuses the system message .System role not supp"),
        ("qwen", "{{ messages[0].content }}{{ strftime_now(x) }}", {}, "writes the present date"),
        ("qwen", "{{ raise_exception('no') }}", {}, "refuses the message .no.; use a template"),
    ],
)
def test_a_chat_template_that_cannot_be_used_is_refused(
    tmp_path, name, chat_template, settings, expected
):
    folder = write_chat_tokenizer(name, tmp_path, chat_template)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with pytest.raises(InputError, match=expected):
        tokenize([["goose"]], make_data(user="{body}", **settings), tokenizer=tokenizer)


def test_a_tokenizer_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(InputError, match="the backbone's tokenizer has no chat template"):
        tokenize([["goose"]], make_data(user="{body}"))
    slow = AutoTokenizer.from_pretrained(write_tokenizer("byt5", tmp_path))
    with pytest.raises(InputError, match="data.template needs a fast tokenizer.*ByT5Tokenizer is"):
        tokenize([["goose"]], make_data("{body}"), tokenizer=slow)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"max_length": 9}, "max_length = 9 leaves no room .* 2 special tokens and 7 tokens of"),
        ({"max_length": 14, "truncation": "windows", "window_stride": 6},
         "window_stride = 6 leaves out tokens between windows, which have 5 tokens"),
    ],
)  # fmt: skip
def test_a_length_without_room_for_text_is_refused(settings, expected):
    data = make_data("a {rule} was {body} the", fields={"rule": 4})
    with pytest.raises(InputError, match=expected):
        tokenize([RULE, BODY], data, **settings)
    room = {**settings, "max_length": settings["max_length"] + 1}
    tokenize([RULE, BODY], data, **room)


def test_tokens_of_a_template_are_stored_and_opened(tmp_path, capsys):
    tokenizer, settings = make_tokenizer(), Model(backbone="tiny", max_length=9)
    data = make_data("a {rule} was {body} the", fields={"rule": 2})

    def open_column() -> TokenColumn:
        return tokenize_dataset([RULE, BODY], tokenizer, settings, tmp_path, data).columns[0]

    column = open_column()
    (folder,) = tmp_path.iterdir()
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert isinstance(column.ids, np.memmap)
    assert column.prefixes.tolist() == [4, 2, 3] and column.suffixes.tolist() == [1, 1, 1]
    assert open_column().prefixes.tolist() == [4, 2, 3]
    assert times == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    # A damaged file is noticed, and any change of the template is another folder.
    (folder / "suffixes.npy").write_bytes(b"")
    assert open_column().suffixes.tolist() == [1, 1, 1]
    assert f"{folder} is damaged" in capsys.readouterr().err
    for number, template in enumerate(["a {rule} was {body} the", "a {rule} was {body}"], start=2):
        other = make_data(template)
        tokenize_dataset([RULE, BODY], tokenizer, settings, tmp_path, other)
        assert len(list(tmp_path.iterdir())) == number
