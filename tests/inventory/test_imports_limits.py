"""How much a spreadsheet may hold: the most rows work, one more is refused in words, and no file fills the memory."""

import io
import zipfile
from datetime import datetime
from typing import Any

import pytest

from inventory.exchange import actions as exchange
from inventory.exchange import rules
from inventory.exchange.adapters import any_file, sheet, xlsx_file
from inventory.exchange.adapters.sheet import Unreadable
from inventory.models import Level, StockFile
from tests.inventory.test_imports_files import HEADER, packed, workbook
from tests.make import make_node, make_sku


def sheet_of(xml: bytes, **more: bytes) -> bytes:
    """A workbook whose first sheet is this XML, with other entries replaced."""
    with zipfile.ZipFile(io.BytesIO(workbook([HEADER]))) as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
    page = files["xl/worksheets/sheet1.xml"]
    files["xl/worksheets/sheet1.xml"] = page[: page.index(b"<sheetData>")] + xml + b"</worksheet>"
    return packed(**files | more)


def many_rows(count: int, kind: str) -> bytes:
    """So many rows of data below a header."""
    if kind == "csv":
        return "仓库,SKU,数量\n".encode() + b"N1,S1,3\n" * count
    cell = b'<c t="str"><v>%b</v></c>'
    head = b"".join(cell % title.encode() for title in HEADER)
    rows = (b"<row>" + cell % b"N1" + cell % (b"S%d" % n) + b"<c><v>%d</v></c></row>" % (n * n % 977) for n in range(count))
    return sheet_of(b"<sheetData><row>" + head + b"</row>" + b"".join(rows) + b"</sheetData>")


REFUSED = "文件有超过 200,000 行数据，每个文件最多 200,000 行，请拆分成多个文件后上传"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_two_hundred_thousand_rows_are_taken(kind: str) -> None:
    body = many_rows(sheet.MOST_ROWS, kind)
    any_file.check(body)
    assert any_file.count_rows(body, rules.header_of) == sheet.MOST_ROWS == 200_000


def test_every_row_of_the_largest_file_is_read_and_one_more_refuses_it_in_words() -> None:
    body = many_rows(200_000, "csv")
    numbers = [number for number, cells in any_file.open_table(body, rules.header_of).rows if len(cells) == 3]
    assert numbers == list(range(2, 200_002))
    with pytest.raises(Unreadable) as refusal:
        any_file.count_rows(body + b"N1,S1,3\n", rules.header_of)
    assert refusal.value.message == REFUSED


def test_blank_rows_of_a_workbook_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_file, "MOST_ROWS", 20)
    rows = [HEADER, *(["N1", f"S{n}", str(n)] for n in range(20)), [" "], [" "]]
    assert any_file.count_rows(workbook(rows), rules.header_of) == 20
    with pytest.raises(Unreadable, match="^文件有超过 20 行数据，每个文件最多 20 行，请拆分成多个文件后上传$"):
        any_file.count_rows(workbook([*rows, ["N1", "S21", "1"]]), rules.header_of)


_TOO_MUCH = "工作簿中有过宽的行或过多的内容，请只保留需要的列和行后重新上传"
_OPEN, _SHUT = b"<sheetData><row>", b"</row></sheetData>"


@pytest.mark.parametrize(
    "body",
    [
        sheet_of(_OPEN + b"<c/>" * 200_000 + _SHUT),
        sheet_of(_OPEN + (b"<c/>" * 20 + b"<!--<row >-->") * 9_000 + _SHUT),
        sheet_of(_OPEN + b'<c t="str"><v>' + b"A" * 9_000_000 + b"</v></c>" + _SHUT),
        sheet_of(b"<sheetData/><mergeCells>" + b"<mergeCell/>" * 200_000 + b"</mergeCells>"),
        sheet_of(b"<sheetData>" + b"<row/>" * 20_000 + b"</sheetData>"),
        sheet_of(_OPEN + _SHUT, **{"xl/styles.xml": b"<styleSheet>" + b"<xf/>" * 200_000 + b"</styleSheet>"}),
        sheet_of(_OPEN + _SHUT, **{"xl/sharedStrings.xml": b"<sst>" + b"<si/>" * 20_000 + b"</sst>"}),
    ],
    ids=["wide row", "wide row in disguise", "long cell", "long tail", "endless rows", "styles", "strings"],
)
def test_what_would_fill_the_memory_is_refused_before_it_is_parsed(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*given: Any) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(xlsx_file, "_LAST_ROW", 10_000)
    monkeypatch.setattr(xlsx_file, "WorkSheetParser", parse)
    monkeypatch.setattr("openpyxl.reader.strings.Text.from_tree", parse)
    assert len(body) < 100_000
    with pytest.raises(Unreadable) as refusal:
        any_file.count_rows(body, rules.header_of)
    assert refusal.value.message == _TOO_MUCH


def test_a_row_far_below_the_end_of_any_sheet_costs_nothing() -> None:
    body = sheet_of(b'<sheetData><row r="1"><c t="str"><v>x</v></c></row><row r="999999999999"><c><v>1</v></c></row></sheetData>')
    assert [number for number, _ in xlsx_file.rows(body)] == [1]


def test_too_wide_lines_and_too_long_rows_are_told_with_their_number() -> None:
    for body, said in (
        ("仓库,SKU,数量\nN1,S1,3\n" + "," * 1_100_000, "第 3 行超过 1 MB，无法读取，请检查换行和列数后重新上传"),
        (",".join("甲" * 30) + "\n" + ",".join(["长" * 400] * 30), "第 2 行超过 5,000 字，请只保留需要的列后重新上传"),
    ):
        with pytest.raises(Unreadable) as refusal:
            any_file.count_rows(body.encode(), rules.header_of)
        assert refusal.value.message == said
    wide = ",".join([*HEADER, *("备" * 200)]) + "\n" + ",".join(["N1", "S1", "3", *("x" * 1000)])
    assert [len(cells) for _, cells in any_file.open_table(wide.encode(), rules.header_of).rows] == [sheet.MOST_COLUMNS]


@pytest.mark.django_db
def test_of_a_file_with_a_row_too_many_nothing_is_kept(at: datetime) -> None:
    make_node(code="N1")
    make_sku("S1")
    exchange.upload(body=many_rows(200_001, "csv"), name="库存.csv", purpose="stock", actor="staff:1", at=at)
    assert exchange.work_on_files(at=at) == 0
    file = StockFile.objects.get()
    assert (file.state, file.problem, file.body, file.total_rows, file.rows.count()) == ("refused", REFUSED, None, 0, 0)
    assert not Level.objects.exists()
