"""Spreadsheets as they really come: every encoding, delimiter and line end; and what is no spreadsheet at all."""

import csv
import io
import struct
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from inventory.exchange import rules
from inventory.exchange.adapters import any_file, csv_file, xlsx_file
from inventory.exchange.adapters.sheet import Unreadable

HEADER = ["仓库编码", "SKU", "数量"]
ROWS = [HEADER, ["N1", "沙发-灰", "3"], ["N2", "模", "12"]]
TABLE = "仓库编码,SKU,数量\nN1,沙发-灰,3\nN2,模,12\n"


def read(body: bytes) -> list[list[str]]:
    return [cells for _, cells in csv_file.rows(body)]


def workbook(rows: Sequence[Sequence[Any]], **sheets: Sequence[Sequence[Any]]) -> bytes:
    book = Workbook(write_only=True)
    for title, content in {"库存": rows, **sheets}.items():
        page = book.create_sheet(title)
        for row in content:
            page.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def packed(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in files.items():
            pack.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_line_ends_and_delimiters(encoding: str, end: str, delimiter: str) -> None:
    text = TABLE.replace(",", delimiter).replace("\n", end)
    assert read(text.encode(encoding)) == ROWS


def test_lines_of_several_encodings_are_each_read_as_what_they_are() -> None:
    lines = TABLE.splitlines(keepends=True)
    assert read(lines[0].encode("utf-8") + lines[1].encode("gbk") + lines[2].encode("utf-8")) == ROWS
    assert read(lines[0].encode("gbk") + lines[1].encode("utf-8") + lines[2].encode("gbk")) == ROWS


def test_a_line_that_nobody_can_decode_is_one_bad_row() -> None:
    body = TABLE.encode() + b"N3,\xff\xff\x80,5\n" + "N4,床,6\n".encode()
    found = read(body)
    assert found[:3] == ROWS
    assert csv_file.UNREADABLE in found[3][1]
    assert (found[3][0], found[3][2]) == ("N3", "5")
    assert found[4] == ["N4", "床", "6"]


def test_quotes_newlines_blank_lines_and_row_numbers() -> None:
    body = '仓库,SKU,数量,备注\r\n\r\nN1,S1,3,"破损,\r\n退回 ""甲"""\r\n , ,\r\nN2,S2,4,好\r\n'.encode()
    assert list(csv_file.rows(body)) == [
        (1, ["仓库", "SKU", "数量", "备注"]),
        (3, ["N1", "S1", "3", '破损,\r\n退回 "甲"']),
        (5, ["N2", "S2", "4", "好"]),
    ]


def test_a_quotation_mark_that_is_never_closed_is_told_with_its_row() -> None:
    with pytest.raises(Unreadable, match="^第 2 行的引号没有成对，其后的内容无法读取，请改正后重新上传$"):
        read('仓库,SKU,数量\nN1,"S1,3\nN2,S2,4\n'.encode())


def test_a_misplaced_quotation_mark_spoils_its_row_only() -> None:
    found = read('仓库,SKU,数量\nN1,"S1"x,3\nN2,6"管,4\n'.encode())
    assert found == [["仓库", "SKU", "数量"], ["引号位置不对\ufffd"], ["N2", '6"管', "4"]]


def test_the_delimiter_is_that_of_the_header_and_may_be_said() -> None:
    assert read("仓库;SKU;数量\nN1;S1;1,000\n".encode())[1] == ["N1", "S1", "1,000"]
    assert read("sep=;\n仓库;SKU\n".encode())[1] == ["仓库", "SKU"]
    assert read('"a,b,c";SKU;数量\n'.encode()) == [["a,b,c", "SKU", "数量"]]


# The 3,755 characters of everyday Chinese: their GBK bytes are never formally UTF-8 of three bytes.
_HANZI = "".join(bytes([lead, trail]).decode("gbk") for lead in range(0xB0, 0xD7) for trail in range(0xA1, 0xFF))
_ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd")
_CELLS = {
    "utf-8": _ANY,
    "utf-8-sig": _ANY,
    "utf-16": _ANY,
    "gbk": st.sampled_from(_HANZI + "abcXYZ019 ,;\t|\"'\r\n.-"),
    "gb18030": st.sampled_from(_HANZI + "abcXYZ019 ,;\t|\"'\r\n.-"),
}


@pytest.mark.parametrize("encoding", list(_CELLS))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_what_was_written_is_read(encoding: str, data: st.DataObject) -> None:
    cell = st.text(_CELLS[encoding], max_size=8)
    rows = data.draw(st.lists(st.lists(cell, min_size=3, max_size=3), max_size=6))
    delimiter = data.draw(st.sampled_from(",;\t|"))
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([HEADER, *rows])
    written = [row for row in rows if any(cell.strip() for cell in row)]
    assert read(file.getvalue().encode(encoding)) == [HEADER, *written]


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_a_refusal(body: bytes) -> None:
    try:
        table = any_file.open_table(body, rules.header_of)
        assert all(len(cells) == len(table.header) for _, cells in table.rows)
    except Unreadable as refusal:
        assert refusal.message  # noqa: PT017


def test_a_workbook_gives_its_first_sheet_as_text() -> None:
    body = workbook(
        [
            ["仓库", "SKU", "数量", "数据时间", "备注"],
            ["N1", 10086, 3.0, datetime(2026, 11, 25, 8), None],  # noqa: DTZ001
            [None, None, None, None, None],
            ["N2", "S2", 1.5, date(2026, 11, 25), True],
            ["N3", "S3", 1_000_000_000_000, "=1+1", "好"],
        ],
        第二页=[["别的"]],
    )
    assert [(number, cells) for number, cells in xlsx_file.rows(body)] == [
        (1, ["仓库", "SKU", "数量", "数据时间", "备注"]),
        (2, ["N1", "10086", "3", "2026-11-25 08:00:00"]),
        (4, ["N2", "S2", "1.5", "2026-11-25 00:00:00", "True"]),
        (5, ["N3", "S3", "1000000000000", "", "好"]),
    ]


def test_a_formula_gives_the_value_that_was_saved_with_it() -> None:
    body = workbook([HEADER, ["N1", "S1", "=1+2"]])
    with zipfile.ZipFile(io.BytesIO(body)) as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
    page = files["xl/worksheets/sheet1.xml"]
    files["xl/worksheets/sheet1.xml"] = page.replace(b"<v></v>", b"<v>3</v>").replace(b"<v />", b"<v>3</v>")
    assert files["xl/worksheets/sheet1.xml"] != page
    assert [cells for _, cells in xlsx_file.rows(packed(**files))][1] == ["N1", "S1", "3"]


def test_a_workbook_that_lies_about_its_size_is_read_whole() -> None:
    body = workbook([HEADER, ["N1", "S1", 3]])
    with zipfile.ZipFile(io.BytesIO(body)) as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
    page = files["xl/worksheets/sheet1.xml"]
    files["xl/worksheets/sheet1.xml"] = page.replace(b"<sheetData>", b'<dimension ref="A1"/><sheetData>')
    assert len(list(xlsx_file.rows(packed(**files)))) == 2


def _encrypted() -> bytes:
    body = bytearray(workbook([HEADER]))
    at = body.find(b"PK\x01\x02")
    struct.pack_into("<H", body, at + 8, struct.unpack_from("<H", body, at + 8)[0] | 1)
    return bytes(body)


_HUGE = b"0" * (21 * 1024 * 1024)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "文件是空的"),
        (b" \r\n ", "文件是空的"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100,
            "这是旧版 .xls 或加密的工作簿，无法读取，请取消密码并另存为 .xlsx 后上传",
        ),
        (_encrypted(), "文件已加密，请取消密码后重新上传"),
        (packed(**{"xl/workbook.xml": b"x", "xl/vbaProject.bin": b"x"}), "不支持含宏的工作簿（.xlsm），请另存为 .xlsx 后上传"),
        (packed(**{"xl/workbook.bin": b"x"}), "不支持二进制工作簿（.xlsb），请另存为 .xlsx 后上传"),
        (packed(**{"word/document.xml": b"x"}), "这个压缩文件不是 XLSX 工作簿，请上传 .xlsx 或 .csv 文件"),
        (packed(**{"xl/workbook.xml": b"<a/>"}), "文件已损坏或不是有效的 XLSX，请用 Excel 打开后另存为 .xlsx 再上传"),
        (workbook([HEADER])[:900], "文件已损坏或不是有效的 XLSX，请用 Excel 打开后另存为 .xlsx 再上传"),
        (
            packed(**{"xl/workbook.xml": b"x", "xl/worksheets/sheet1.xml": _HUGE}),
            "文件解压后有 21 MB，超过允许的大小，请只保留需要的列和行后重新上传",
        ),
        (
            packed(**{"xl/workbook.xml": b"x", "xl/styles.xml": b"0" * (9 * 1024 * 1024)}),
            "文件解压后有 9 MB，超过允许的大小，请只保留需要的列和行后重新上传",
        ),
        (_HUGE, "文件有 21.0 MB，超过 20 MB 的上限，请拆分成多个文件后上传"),
        (workbook([]), "文件里没有内容"),
    ],
)
def test_what_is_no_spreadsheet_is_refused_in_words(body: bytes, said: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        list(any_file.open_table(body, rules.header_of).rows)
    assert refusal.value.message == said


def test_columns_right_of_the_header_are_ignored_and_short_rows_filled() -> None:
    table = any_file.open_table("2026 库存表\n仓库,SKU,数量,,\nN1,S1,3,x,y\n,,,只有多余\nN2,S2\n".encode(), rules.header_of)
    assert table.header == ["仓库", "SKU", "数量"]
    assert list(table.rows) == [(3, ["N1", "S1", "3"]), (5, ["N2", "S2", ""])]
