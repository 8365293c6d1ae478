"""The first sheet of an XLSX workbook, row by row; formulas give the values that were saved with them.

A workbook is a zip of XML: what it would unpack to is bounded before anything is unpacked (zipfile reads no more
of an entry than the entry claims to have). What is read into memory as one tree (a row, a string, the styles) is bounded
before it is parsed.
"""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from io import BytesIO
from typing import Any

from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.worksheet._reader import WorkSheetParser
from openpyxl.xml.constants import SHARED_STRINGS, XLSX

from inventory.exchange.adapters.sheet import MOST_COLUMNS, Rows, Unreadable

MOST_UNPACKED = 300 * 1024 * 1024
MOST_RATIO = 200  # real sheets shrink to a tenth or a thirtieth
_RATIO_COUNTS_FROM = 10 * 1024 * 1024
_MOST_ENTRIES = 2000
_STRINGS = "xl/sharedStrings.xml"
_MOST_STRINGS = 64 * 1024 * 1024  # bytes of them all
_MOST_OTHER = 8 * 1024 * 1024  # styles and the like are read into memory as a tree
_TREES = re.compile(r"(xl/styles|xl/workbook|xl/theme/.*|docProps/.*|\[Content_Types\]|.*\.rels)(\.xml)?")
_HOMES = {SHARED_STRINGS: f"/{_STRINGS}", XLSX: "/xl/workbook.xml"}  # bounds go by names
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
_STRING = re.compile(rb"<(?:\w+:)?si[\s/>]")
_LAST_ROW = 1_048_576  # of any worksheet; as many strings are enough, too
_MOST_TAGS = 100_000  # of one row or string, of all that stands before or after the rows, or of another tree
_READ_AT_ONCE = 1 << 20
_BROKEN = "文件已损坏或不是有效的 XLSX，请用 Excel 打开后另存为 .xlsx 再上传"
_TOO_MUCH = "工作簿中有过宽的行或过多的内容，请只保留需要的列和行后重新上传"


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
    if name == _STRINGS:
        return _MOST_STRINGS
    return _MOST_OTHER if _TREES.fullmatch(name) else MOST_UNPACKED


def rows(body: bytes) -> Rows:
    """All rows of the first sheet that are not blank, every cell as text."""
    check(body)
    with _broken_is_told():
        reader, path, _ = _opened(body)
        with reader.archive.open(path) as sheet:
            parser = WorkSheetParser(
                sheet,
                reader.shared_strings,
                data_only=True,
                epoch=reader.wb.epoch,
                date_formats=reader.wb._date_formats,
                timedelta_formats=reader.wb._timedelta_formats,
            )
            last = 0
            for number, cells in parser.parse():
                parser.row_dimensions.clear()  # heights and the like, which it would keep of every row
                if last < number <= _LAST_ROW and (told := _told(cells)):
                    yield number, told
                    last = number


def _told(cells: list[dict[str, Any]]) -> list[str]:
    """The cells of a row by their columns, without what stands too far right; empty when it is blank."""
    told = [""] * min(MOST_COLUMNS, max((cell["column"] for cell in cells), default=0))
    for cell in cells:
        if cell["column"] <= MOST_COLUMNS:
            value = cell["value"]
            told[cell["column"] - 1] = value if type(value) is str else _text(value)
    return told if any(cell and not cell.isspace() for cell in told) else []


def most_rows(body: bytes) -> int:
    """How many rows the first sheet has at most, blank ones counted too; fast."""
    check(body)
    with _broken_is_told():
        return _opened(body)[2]


def _opened(body: bytes) -> tuple[ExcelReader, str, int]:
    """A reader that has read all but the sheets, the name of the first sheet, and how many rows that has at most.

    Raises Unreadable before what is too much gets into memory.
    """
    reader = ExcelReader(BytesIO(body), read_only=True, data_only=True, keep_links=False)
    for name in reader.valid_files:
        if name == _STRINGS or _TREES.fullmatch(name):
            _measure(reader.archive, name, _STRING)
    reader.read_manifest()
    if any((part := reader.package.find(kind)) is not None and part.PartName != home for kind, home in _HOMES.items()):
        raise Unreadable(_BROKEN)
    reader.read_strings()
    reader.read_workbook()
    apply_stylesheet(reader.archive, reader.wb)
    sheets = (link for _, link in reader.parser.find_sheets() if link.target in reader.valid_files)
    path = next((str(link.target) for link in sheets if "chartsheet" not in link.Type), "")
    if not path:
        raise Unreadable("工作簿里没有工作表")
    return reader, path, _measure(reader.archive, path, _ROW)


def _measure(pack: zipfile.ZipFile, name: str, mark: re.Pattern[bytes]) -> int:
    """How many rows or strings begin in an entry, without parsing it. Raises Unreadable for one too big, or too many.

    Behind a comment or the like, in which a mark would be none, all is taken for one; spreadsheet programs write none.
    """
    count, tags, size, rest, is_plain = 0, 0, 0, b"", True
    with pack.open(name) as entry:
        while piece := entry.read(_READ_AT_ONCE):
            whole, sign, tail = (rest + piece).rpartition(b"<")
            rest = sign + tail
            is_plain = is_plain and b"<!" not in whole
            first, *others = mark.split(whole)
            kept = [first] if is_plain else [first, *others]
            tags, size = tags + sum(part.count(b"<") for part in kept), size + sum(map(len, kept))
            big = [part.count(b"<") for part in others if len(part) > _MOST_TAGS]  # others cannot have as many tags
            count += len(others)
            if max([tags, *big]) > _MOST_TAGS or size + len(rest) > _MOST_OTHER or count > _LAST_ROW:
                raise Unreadable(_TOO_MUCH)
            if others and is_plain:
                tags, size = others[-1].count(b"<"), len(others[-1])
    return count + len(mark.findall(rest))


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
