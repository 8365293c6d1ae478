"""The first sheet of an XLSX workbook, row by row; formulas give the values that were saved with them.

A workbook is a zip of XML: what it would unpack to is bounded before anything is unpacked (zipfile reads no more
of an entry than the entry claims to have).
"""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from io import BytesIO
from typing import Any

from openpyxl import load_workbook

from inventory.exchange.adapters.sheet import MOST_COLUMNS, Rows, Unreadable

MOST_UNPACKED = 300 * 1024 * 1024
MOST_RATIO = 200  # real sheets shrink to a tenth or a thirtieth
_RATIO_COUNTS_FROM = 10 * 1024 * 1024
_MOST_ENTRIES = 2000
_MOST_STRINGS = 64 * 1024 * 1024
_MOST_OTHER = 8 * 1024 * 1024  # styles and the like are read into memory as a tree
_TREES = re.compile(r"(xl/styles|xl/workbook|xl/theme/.*|docProps/.*|\[Content_Types\]|.*\.rels)(\.xml)?")
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
_READ_AT_ONCE = 1 << 20
_BROKEN = "文件已损坏或不是有效的 XLSX，请用 Excel 打开后另存为 .xlsx 再上传"


def check(body: bytes) -> None:
    """Raises Unreadable for what is no plain workbook, or would unpack to too much."""
    with _broken_is_told(), zipfile.ZipFile(BytesIO(body)) as pack:
        entries = pack.infolist()
        names = {entry.filename for entry in entries}
        if any(entry.flag_bits & 1 for entry in entries):
            raise Unreadable("文件已加密，请取消密码后重新上传")
        if "xl/workbook.bin" in names:
            raise Unreadable("不支持二进制工作簿（.xlsb），请另存为 .xlsx 后上传")
        if "xl/vbaProject.bin" in names:
            raise Unreadable("不支持含宏的工作簿（.xlsm），请另存为 .xlsx 后上传")
        if "xl/workbook.xml" not in names:
            raise Unreadable("这个压缩文件不是 XLSX 工作簿，请上传 .xlsx 或 .csv 文件")
        total = sum(entry.file_size for entry in entries)
        if (
            len(entries) > _MOST_ENTRIES
            or total > MOST_UNPACKED
            or (total > _RATIO_COUNTS_FROM and total > MOST_RATIO * len(body))
            or any(entry.file_size > _bound(entry.filename) for entry in entries)
        ):
            raise Unreadable(f"文件解压后有 {total // 1024 // 1024} MB，超过允许的大小，请只保留需要的列和行后重新上传")


def _bound(name: str) -> int:
    if name == "xl/sharedStrings.xml":
        return _MOST_STRINGS
    return _MOST_OTHER if _TREES.fullmatch(name) else MOST_UNPACKED


def rows(body: bytes) -> Rows:
    """All rows of the first sheet that are not blank, every cell as text."""
    check(body)
    with _broken_is_told():
        sheet = _first_sheet(body)
        for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
            if any(value is not None for value in values):
                cells = [value if type(value) is str else _text(value) for value in values[:MOST_COLUMNS]]
                if any(cell and not cell.isspace() for cell in cells):
                    yield number, cells


def most_rows(body: bytes) -> int:
    """How many rows the first sheet has at most, blank ones counted too; fast."""
    check(body)
    with _broken_is_told(), zipfile.ZipFile(BytesIO(body)) as pack:
        count, rest = 0, b""
        with pack.open(_first_sheet(body)._worksheet_path) as sheet:
            while piece := sheet.read(_READ_AT_ONCE):
                whole, sign, tail = (rest + piece).rpartition(b"<")
                count, rest = count + len(_ROW.findall(whole)), sign + tail
        return count + len(_ROW.findall(rest))


def _first_sheet(body: bytes) -> Any:
    book = load_workbook(BytesIO(body), read_only=True, data_only=True, keep_links=False)
    if not book.worksheets:
        raise Unreadable("工作簿里没有工作表")
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # what a file says of its own size is often wrong
    return sheet


@contextmanager
def _broken_is_told() -> Iterator[None]:
    """What openpyxl, zipfile and expat raise for a broken file is of many kinds."""
    try:
        yield
    except (Unreadable, MemoryError, GeneratorExit):
        raise
    except Exception as error:
        raise Unreadable(_BROKEN) from error


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).replace("\0", "")
