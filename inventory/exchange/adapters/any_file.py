"""Bytes of a spreadsheet, whatever its kind: refused in clear words, or header and rows."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from inventory.exchange.adapters import csv_file, xlsx_file
from inventory.exchange.adapters.sheet import LONGEST_CELL, LONGEST_ROW, MOST_BYTES, MOST_ROWS, Row, Rows, Unreadable

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOOK_AT = 10  # rows: there may be a title above the header


@dataclass(frozen=True, slots=True)
class Table:
    """The header and, after it, the rows as wide as the header."""

    header: list[str]
    rows: Rows


def check(body: bytes) -> None:
    """What can be said at once. Raises Unreadable."""
    if not body.strip():
        raise Unreadable("文件是空的")
    if len(body) > MOST_BYTES:
        raise Unreadable(f"文件有 {len(body) / 1024 / 1024:.1f} MB，超过 20 MB 的上限，请拆分成多个文件后上传")
    if body.startswith(_OLE):
        raise Unreadable("这是旧版 .xls 或加密的工作簿，无法读取，请取消密码并另存为 .xlsx 后上传")
    if body.startswith(_ZIP):
        xlsx_file.check(body)


def open_table(body: bytes, header_of: Callable[[list[list[str]]], int]) -> Table:
    """Find the header among the first rows by `header_of` (rows → index). Raises Unreadable, also while rows are taken."""
    rows = _rows(body)
    first = list(islice(rows, _LOOK_AT))
    if not first:
        raise Unreadable("文件里没有内容")
    at = header_of([cells for _, cells in first])
    header = [cell.strip()[:LONGEST_CELL] for cell in first[at][1]]
    while header and not header[-1]:
        header.pop()
    return Table(header, _as_wide_as(len(header), [*first[at + 1 :]], rows))


def count_rows(body: bytes, header_of: Callable[[list[list[str]]], int]) -> int:
    """How many rows of data there are, or for XLSX may be. Raises Unreadable at the first of more than MOST_ROWS."""
    if body.startswith(_ZIP) and (most := xlsx_file.most_rows(body) - 1) <= MOST_ROWS:
        return max(0, most)
    count = sum(1 for _ in islice(open_table(body, header_of).rows, MOST_ROWS + 1))
    if count > MOST_ROWS:
        raise Unreadable(f"文件有超过 {MOST_ROWS:,} 行数据，每个文件最多 {MOST_ROWS:,} 行，请拆分成多个文件后上传")
    return count


def _rows(body: bytes) -> Rows:
    check(body)
    return xlsx_file.rows(body) if body.startswith(_ZIP) else csv_file.rows(body)


def _as_wide_as(width: int, first: list[Row], rest: Rows) -> Rows:
    """Columns right of the header are ignored, missing ones are empty; a row without anything below the header is blank."""
    for source in (first, rest):
        for number, cells in source:
            kept = [cell[:LONGEST_CELL] for cell in cells[:width]]
            if sum(map(len, kept)) > LONGEST_ROW:
                raise Unreadable(f"第 {number} 行超过 {LONGEST_ROW:,} 字，请只保留需要的列后重新上传")
            if any(kept):
                yield number, kept + [""] * (width - len(kept))
