"""Spreadsheets: typed cells by the common table, other sheets said, lost digits refused."""

from __future__ import annotations

import struct
import sys
import zipfile
from pathlib import Path

import pytest

from auxfold.data.files import detect_format, read_columns, read_header
from auxfold.errors import InputError

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
STYLES = (  # style 1 is a date, style 2 a date with a time
    f'<styleSheet {MAIN}><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/>'
    '<xf numFmtId="22"/></cellXfs></styleSheet>'
)


def cell_xml(value) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, tuple):  # days since 1899-12-30, style
        return f'<c s="{value[1]}"><v>{value[0]}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value!r}</v></c>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'


def write_workbook(path, **sheets):
    """A workbook with inline strings: sheet name to rows."""
    names = list(sheets)
    entries = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(names, 1)
    )
    targets = "".join(
        f'<Relationship Id="r{n}" Type="{RELATIONS}/worksheet" Target="worksheets/{n}.xml"/>'
        for n in range(1, len(names) + 1)
    )
    office = f'<Relationship Id="w" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"/>')
        relations = f'<Relationships xmlns="{PACKAGE}/relationships">'
        archive.writestr("_rels/.rels", f"{relations}{office}</Relationships>")
        archive.writestr("xl/_rels/workbook.xml.rels", f"{relations}{targets}</Relationships>")
        book = f'<workbook {MAIN} xmlns:r="{RELATIONS}"><sheets>{entries}</sheets></workbook>'
        archive.writestr("xl/workbook.xml", book)
        archive.writestr("xl/styles.xml", STYLES)
        for number, name in enumerate(names, 1):
            rows = "".join(f"<row>{''.join(map(cell_xml, row))}</row>" for row in sheets[name])
            sheet = f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"
            archive.writestr(f"xl/worksheets/{number}.xml", sheet)
    return path


def test_every_type_of_cell(tmp_path):
    path = write_workbook(
        tmp_path / "t.xlsx",
        Data=[
            ["id", "text", "score", "day", "at", "ok", None],
            [1, "NA", 2.5, (43832, 1), (43832.25, 2), True, None],
            [None] * 7,
            [123456789012345, " ä\nb ", 12.0, None, (43832.0, 2), False, None],
        ],
    )
    assert read_columns(path).to_dict("list") == {
        "id": ["1", "123456789012345"],
        "text": ["NA", " ä\nb "],
        "score": ["2.5", "12"],
        "day": ["2020-01-02", ""],
        "at": ["2020-01-02T06:00:00", "2020-01-02"],
        "ok": ["true", "false"],
    }
    assert read_columns(path, ["ok", "id"]).columns.tolist() == ["ok", "id"]
    assert read_header(path) == ["id", "text", "score", "day", "at", "ok"]
    assert detect_format(path).notes == ()


def test_the_first_sheet_with_cells_is_read_and_the_others_are_said(tmp_path):
    rows = [[None, "text"], [0, "a"], [1, "b"]]  # with the index that pandas writes
    path = write_workbook(tmp_path / "t.xlsx", Empty=[], Data=rows, Notes=[["hello"]])
    assert read_columns(path).to_dict("list") == {"text": ["a", "b"]}
    assert detect_format(path).notes == (
        "read from sheet 'Data'; not read: 'Notes'",
        "columns without a name are not read: 1",
    )


def test_values_without_a_name_above_them_are_counted(tmp_path):
    path = write_workbook(tmp_path / "t.xlsx", Data=[["id", None], [1, "x"], [2, None], [3, "y"]])
    assert read_columns(path).to_dict("list") == {"id": ["1", "2", "3"]}
    note = "columns without a name are not read: 2, although 2 rows have values there"
    assert detect_format(path).notes == (note,)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["id"], [1], [1.3448001175712604e18]], "column 'id', row 2: a spreadsheet keeps 15"),
        ([["id", "id"], [1, 2]], "two columns are called 'id'"),
        ([["id"]], "has no rows"),
        ([], "it has no cells"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, rows, expected):
    with pytest.raises(InputError, match=expected):
        read_columns(write_workbook(tmp_path / "t.xlsx", Data=rows))


def test_a_damaged_file_and_a_missing_extra(tmp_path, monkeypatch):
    (tmp_path / "t.xlsx").write_text("no zip")
    with pytest.raises(InputError, match="it is no readable spreadsheet"):
        read_columns(tmp_path / "t.xlsx")
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(InputError, match=r'python-calamine: pip install "auxfold\[excel\]"$'):
        read_columns(tmp_path / "t.xlsx")


def test_a_first_row_of_data_is_noticed(tmp_path):
    rows = [["ham" if n % 2 else "spam", f"message number {n} of them"] for n in range(9)]
    assert detect_format(write_workbook(tmp_path / "t.xlsx", Data=rows)).header_is_data


NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns"


def write_ods(path: Path, cells: list[list[tuple[str, str]]]) -> str:
    """A sheet of LibreOffice from the type and the text of every cell."""
    attributes = {"float": "value", "boolean": "boolean-value", "date": "date-value"}
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="{kind}" '
            + (f'office:{attributes[kind]}="{text}"' if kind in attributes else "")
            + f"><text:p>{text}</text:p></table:table-cell>"
            for kind, text in row
        )
        + "</table:table-row>"
        for row in cells
    )
    spaces = " ".join(f'xmlns:{n}="{NAMESPACE}:{n}:1.0"' for n in ("office", "table", "text"))
    content = (
        f"<office:document-content {spaces}><office:body><office:spreadsheet>"
        f'<table:table table:name="one">{rows}</table:table>'
        f"</office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        manifest = f'<manifest:manifest xmlns:manifest="{NAMESPACE}:manifest:1.0"/>'
        archive.writestr("META-INF/manifest.xml", manifest)
    return str(path)


def test_sheets_of_libreoffice(tmp_path):
    header = [("string", name) for name in ("id", "text", "score", "day", "ok")]
    first = [("float", "7"), ("string", "Käse"), ("float", "1.50"), ("date", "2020-01-02"),
             ("boolean", "true")]  # fmt: skip
    assert read_columns(write_ods(tmp_path / "t.ods", [header, first])).to_dict("list") == {
        "id": ["7"], "text": ["Käse"], "score": ["1.5"], "day": ["2020-01-02"], "ok": ["true"],
    }  # fmt: skip


def write_xlsb(path: Path, rows: list[list[str | float]]) -> str:
    """A binary workbook of Excel with one sheet of texts and numbers (MS-XLSB)."""

    def record(number: int, data: bytes = b"") -> bytes:
        head = bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])
        return head + bytes([len(data)]) + data

    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode("utf-16-le")

    sheet = record(129) + record(148, struct.pack("<4I", 0, len(rows) - 1, 0, len(rows[0]) - 1))
    sheet += record(145)
    for number, row in enumerate(rows):
        sheet += record(0, struct.pack("<2IH", number, 0, 300) + bytes(7))
        for column, value in enumerate(row):
            is_text = isinstance(value, str)
            data = text(value) if is_text else struct.pack("<d", value)
            sheet += record(6 if is_text else 5, struct.pack("<2I", column, 0) + data)
    sheet += record(146) + record(130)
    entry = struct.pack("<2I", 0, 1) + text("r1") + text("one")
    book = record(131) + record(143) + record(156, entry) + record(144) + record(132)

    def relation(name: str, target: str) -> str:
        link = f'<Relationship Id="r1" Type="{RELATIONS}/{name}" Target="{target}"/>'
        return f'<Relationships xmlns="{PACKAGE}/relationships">{link}</Relationships>'

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"/>')
        archive.writestr("_rels/.rels", relation("officeDocument", "xl/workbook.bin"))
        links = relation("worksheet", "worksheets/1.bin")
        archive.writestr("xl/_rels/workbook.bin.rels", links)
        archive.writestr("xl/workbook.bin", book)
        archive.writestr("xl/worksheets/1.bin", sheet)
    return str(path)


def test_binary_workbooks(tmp_path):
    rows: list[list[str | float]] = [["id", "text", "n"], [7, "Käse", 1.5], [8, "", 12.0]]
    assert read_columns(write_xlsb(tmp_path / "t.xlsb", rows)).to_dict("list") == {
        "id": ["7", "8"], "text": ["Käse", ""], "n": ["1.5", "12"],
    }  # fmt: skip
