"""The encoding of a file: by its byte order mark, else UTF-8, else CP1252 where that is plain."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

# The longer mark first: that of UTF-32 begins with that of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
HEAD = 4096  # bytes in which UTF-16 without a mark is looked for
LOOKALIKES = ("cp1252", "cp1251", "cp1250", "gb18030", "shift_jis")
MAX_SUSPICIOUS = 0.02  # share of suspicious letters up to which a text is CP1252
MAX_CHANCE = 0.05  # letters that are UTF-8 by chance, per byte that is not
# Fewer letters beyond ASCII than this no language has but English; then CP1252 is the only guess.
ALMOST_ASCII = 0.005

_LETTERS = "À-ÖØ-öø-ÿŠŒŽšœžŸƒ"
_SUSPICIOUS = re.compile(  # what Western texts do not have but texts of other code pages do
    rf"[{_LETTERS}]{{3,}}|[a-zß-ÿ][À-ÖØ-ÞŠŒŽŸ]|[A-Za-z][¡-¦¨-¬®-³¶¸-¿ƒ‡†‰‹›€][a-z]"
)
_HALF_EMOJI = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")  # a surrogate as if it were UTF-8
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


@dataclass(frozen=True)
class Text:
    """The content of a text file.

    Attributes:
        content: the same text in UTF-8, without a byte order mark.
        encoding: the name of the file's encoding for Python.
        note: how the encoding was found, where a person should know.
    """

    content: pa.Buffer
    encoding: str
    note: str | None = None


def decode_text(content: pa.Buffer, encoding: str | None = None) -> Text:
    """The text of a file, whatever its encoding.

    Args:
        content: the bytes of the file.
        encoding: the encoding of a file that is not UTF-8 and that has no byte order mark; None:
            CP1252 where the bytes leave no doubt.

    Raises:
        ValueError: bytes that are not in the encoding, or no encoding that is plain.
    """
    head = content.slice(0, min(HEAD, len(content))).to_pybytes()
    mark = next((mark for mark in BYTE_ORDER_MARKS if head.startswith(mark)), b"")
    if mark:
        name = BYTE_ORDER_MARKS[mark]
        content = content.slice(len(mark))
        if name != "utf-8":
            return _transcode(content, name, f"{name[:6].upper()} by its byte order mark")
    elif encoding is None and b"\0" in head and (wide := _wide_encoding(head)):
        return _transcode(content, wide, wide.upper())
    is_utf8 = _is_utf8(content)
    if mark and not is_utf8:
        return _transcode(content, "utf-8", None)  # raises, naming the place
    if encoding is not None and not mark:
        return _decode_as(content, encoding, is_utf8)
    if is_utf8:
        return Text(content, "utf-8")
    return _decode_western(content)


def _decode_as(content: pa.Buffer, encoding: str, is_utf8: bool) -> Text:
    """The encoding of the experiment, except for a file that is plainly UTF-8."""
    name = codecs.lookup(encoding).name
    if name == "utf-8" or (is_utf8 and not content.to_pybytes().isascii()):
        return Text(content, "utf-8") if is_utf8 else _transcode(content, "utf-8", None)
    return _transcode(content, name, None)


def _is_utf8(content: pa.Buffer) -> bool:
    offsets = pa.py_buffer(np.array([0, len(content)], dtype=np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, offsets, content).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 without a byte order mark: a zero in most pairs of bytes, always on the same side."""
    low, high = head[0::2].count(0), head[1::2].count(0)
    if high > 0.3 * len(head) and not low:
        return "utf-16-le"
    return "utf-16-be" if low > 0.3 * len(head) and not high else None


def _transcode(content: pa.Buffer, encoding: str, note: str | None) -> Text:
    try:
        text = content.to_pybytes().decode(encoding)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].decode(encoding, "replace").count("\n") + 1
        byte = error.object[error.start]
        raise ValueError(
            f"line {line}: the byte 0x{byte:02X} is not {encoding} ({error.reason}); "
            f"data.encoding names another encoding"
        ) from None
    return Text(pa.py_buffer(text.removeprefix("\ufeff").encode()), encoding, note)


def _decode_western(content: pa.Buffer) -> Text:
    """CP1252, unless the text looks like another encoding or like damaged UTF-8."""
    data = content.to_pybytes()
    try:
        data.decode()
    except UnicodeDecodeError as error:
        start = error.start
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        text = None
    if text is None or _is_damaged_utf8(data):
        raise ValueError(_describe_unknown(data, start))
    runs = _NOT_ASCII.findall(text)
    is_ascii = sum(map(len, runs)) < ALMOST_ASCII * len(text)
    if len(_SUSPICIOUS.findall(text)) > MAX_SUSPICIOUS * len(runs) and not is_ascii:
        raise ValueError(_describe_unknown(data, start))
    return Text(pa.py_buffer(text.encode()), "cp1252", "CP1252, since it is not UTF-8")


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether a part of the letters is UTF-8; two letters of CP1252 are so only by chance."""
    text = data.decode("utf-8", "replace")
    n_damaged = text.count("\ufffd")
    n_letters = sum(map(len, _NOT_ASCII.findall(text))) - n_damaged
    return n_letters > MAX_CHANCE * n_damaged or _HALF_EMOJI.search(data) is not None


def _describe_unknown(data: bytes, start: int) -> str:
    """The place of a byte that is not UTF-8, and what it could be."""
    line = data.count(b"\n", 0, start) + 1
    excerpt = data[max(0, start - 12) : start + 20].replace(b"\r", b" ").replace(b"\n", b" ")
    readings = {}
    for encoding in LOOKALIKES:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        readings[encoding] = excerpt.decode(encoding, "ignore")
    listed = ", ".join(f"{text!r} ({encoding})" for encoding, text in readings.items())
    hint = f"it reads {listed}" if readings else "it is not in a common encoding"
    return (
        f"line {line}: the byte 0x{data[start]:02X} is not UTF-8; {hint}; name the encoding with "
        f'data.encoding, such as "cp1252", or repair the file'
    )
