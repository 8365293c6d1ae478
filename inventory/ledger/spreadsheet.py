"""Every table that leaves as a file: CSV while it is read, XLSX by way of the disk, so that a million rows need no memory.

What people typed elsewhere (a buyer's remark, a shop's name) ends up in these cells, and a spreadsheet
program runs a cell that begins like a formula. Such text is marked as text, in every file, by `cell`.
"""

import csv
import re
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import chain, islice
from typing import Any
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from openpyxl import Workbook  # type: ignore[import-untyped]

MOST_LINES = 100_000
_CHUNK = 2_000
_PIECE = 64 * 1024
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?", re.ASCII)
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # no XML, hence no workbook, can hold these
_TYPES = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
Cells = Iterable[Any]


def cell(value: Any) -> Any:
    """A value as it is written: numbers stay numbers, times are local, and text is never a formula.

    Text that is no more than a number, such as -5, stays as it is, so that a file can be read in again.
    """
    if isinstance(value, str):
        text = _UNSEEN.sub("", value)
        return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
    if isinstance(value, datetime):
        return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else value


def csv_file(request: HttpRequest, name: str, header: Cells, rows: Iterable[Cells]) -> StreamingHttpResponse:
    """`<name>.csv`, with the mark by which spreadsheet programs know UTF-8; sent while the rows are read."""
    return _answer(request, f"{name}.csv", _csv_pieces(header, rows))


def xlsx_file(request: HttpRequest, name: str, header: Cells, rows: Iterable[Cells], frozen: str = "A2") -> StreamingHttpResponse:
    """`<name>.xlsx` with one sheet, whose cells above and left of `frozen` stay in sight; written to the disk row by row."""
    return _answer(request, f"{name}.xlsx", _xlsx_pieces(header, rows, frozen))


def file_of(
    request: HttpRequest, name: str, titles: Sequence[str], rows: QuerySet[Any, Any], words: Sequence[Mapping[str, str]]
) -> StreamingHttpResponse:
    """The rows of a `values_list` as a CSV; the file's name says when rows were left out.

    `words` tell, per column, how codes are called.
    """
    is_cut = rows[MOST_LINES : MOST_LINES + 1].exists()
    stamp = f"{timezone.localtime():%Y%m%d-%H%M%S}"
    told = (
        [known.get(value, value) for value, known in zip(row, words, strict=True)]
        for row in rows[:MOST_LINES].iterator(chunk_size=_CHUNK)
    )
    return csv_file(request, f"{name}（仅前 {MOST_LINES} 行）-{stamp}" if is_cut else f"{name}-{stamp}", titles, told)


def _answer(request: HttpRequest, file_name: str, pieces: Iterator[bytes]) -> StreamingHttpResponse:
    """Each kind of server wants its kind of iterator."""
    body: Any = _handed_over(pieces) if isinstance(request, ASGIRequest) else pieces
    answer = StreamingHttpResponse(body, content_type=_TYPES[file_name.rpartition(".")[2]])
    answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file_name)}"
    return answer


async def _handed_over(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, each made in the thread that owns the database connection."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _csv_pieces(header: Cells, rows: Iterable[Cells]) -> Iterator[bytes]:
    writer, lines = csv.writer(_Echo()), chain([header], rows)
    mark = "\ufeff"
    while chunk := list(islice(lines, _CHUNK)):
        yield (mark + "".join(str(writer.writerow(map(cell, cells))) for cells in chunk)).encode()
        mark = ""


def _xlsx_pieces(header: Cells, rows: Iterable[Cells], frozen: str) -> Iterator[bytes]:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("数据")
    sheet.freeze_panes = frozen
    for cells in chain([header], rows):
        sheet.append([*map(cell, cells)])
    with tempfile.TemporaryFile(suffix=".xlsx") as file:
        book.save(file)
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece
