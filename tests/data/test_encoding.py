"""Encodings: detected where the bytes leave no doubt, else refused with the key that decides."""

from __future__ import annotations

import codecs

import pyarrow as pa
import pytest

from auxfold.data.encoding import decode_text

WESTERN = "id,text\n1,café £5 – “naïve”\n2,it’s 30 °C, señor\n"
POLISH = "id,text\n1,Zażółć gęślą jaźń\n2,łódź i źródło\n"
RUSSIAN = "id,text\n1,Привет мир\n2,Доброе утро\n"


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    text = decode_text(pa.py_buffer(data), encoding)
    return text.content.to_pybytes().decode(), text.encoding


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (WESTERN.encode(), "utf-8"),
        (codecs.BOM_UTF8 + WESTERN.encode(), "utf-8"),
        (WESTERN.encode("utf-16"), "utf-16-le"),
        (codecs.BOM_UTF16_BE + WESTERN.encode("utf-16-be"), "utf-16-be"),
        (WESTERN.encode("utf-16-le"), "utf-16-le"),
        (WESTERN.encode("utf-32"), "utf-32-le"),
        (WESTERN.encode("cp1252"), "cp1252"),
    ],
)
def test_plain_encodings_are_detected(data, encoding):
    assert decode(data) == (WESTERN, encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(RUSSIAN, "cp1251"), (POLISH, "cp1250"), ("id,text\n1,你好世界\n", "gb18030")],
)
def test_other_code_pages_are_refused_and_read_by_their_name(text, encoding):
    data = text.encode(encoding)
    with pytest.raises(ValueError, match="line 2: the byte .* is not UTF-8; it reads .*data.enc"):
        decode(data)
    assert decode(data, encoding) == (text, encoding)


def test_the_refusal_shows_how_the_place_reads():
    with pytest.raises(ValueError, match=r"'id,text 1,Привет мир 2,Доброе ' \(cp1251\)"):
        decode(RUSSIAN.encode("cp1251"))


def test_damaged_utf8_is_not_taken_for_cp1252():
    damaged = "id,text\n1,schön\n2,caf".encode() + b"\xe9\n"
    with pytest.raises(ValueError, match="line 3: the byte 0xE9 is not UTF-8"):
        decode(damaged)
    half_an_emoji = b"id,text\n1,half \xed\xa0\xbd\n"  # CESU-8
    with pytest.raises(ValueError, match="line 2: the byte 0xED is not UTF-8"):
        decode(half_an_emoji)
    with pytest.raises(ValueError, match="line 2: the byte 0x90 is not UTF-8"):
        decode(b"id,text\n1,\x90\n")  # no character in CP1252


def test_a_named_encoding_is_for_files_that_are_not_utf8():
    assert decode(WESTERN.encode("cp1252"), "latin-1")[1] == "iso8859-1"
    assert decode(WESTERN.encode(), "cp1252") == (WESTERN, "utf-8")
    assert decode(WESTERN.encode("utf-16"), "cp1252") == (WESTERN, "utf-16-le")
    assert decode("あ".encode("iso2022_jp"), "iso2022_jp") == ("あ", "iso2022_jp")
    with pytest.raises(ValueError, match="line 2: the byte 0xE9 is not utf-8 .*data.encoding"):
        decode(b"id\ncaf\xe9\n", "utf-8")


def test_a_text_that_is_almost_ascii_is_cp1252():
    odd = "1,for £5 donÂ‰Ûªt\n"  # what a Mac made of UTF-8, in the SMS spam collection
    with pytest.raises(ValueError, match="is not UTF-8"):
        decode(f"id,text\n{odd}".encode("cp1252"))
    plain = "2,nothing but plain words in this row, and again in this row\n" * 300
    text = "id,text\n" + odd + plain + "3,£5\n" * 50
    assert decode(text.encode("cp1252")) == (text, "cp1252")
