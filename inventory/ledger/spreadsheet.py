"""A list as a CSV file that is sent while it is read, so that 100,000 rows need no memory."""

import csv
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

MOST_LINES = 100_000
_CHUNK = 2_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def file_of(
    request: HttpRequest, name: str, titles: Sequence[str], rows: QuerySet[Any, Any], words: Sequence[Mapping[str, str]]
) -> StreamingHttpResponse:
    """The rows of a `values_list` as a download with a BOM, for Excel; the file's name says when rows were left out.

    `words` tell, per column, how codes are called.
    """
    is_cut = rows[MOST_LINES : MOST_LINES + 1].exists()
    title = f"{name}（仅前 {MOST_LINES} 行）" if is_cut else name
    return _sent(request, title, _parts(titles, rows[:MOST_LINES].iterator(chunk_size=_CHUNK), words))


def file_of_lines(
    request: HttpRequest, name: str, titles: Sequence[str], lines: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """Lines that were computed, in the same kind of file."""
    return _sent(request, name, _parts(titles, lines, [{}] * len(titles)))


def _sent(request: HttpRequest, title: str, parts: Iterator[bytes]) -> StreamingHttpResponse:
    file_name = f"{title}-{timezone.localtime():%Y%m%d-%H%M%S}.csv"
    body: Any = _handed_over(parts) if isinstance(request, ASGIRequest) else parts
    answer = StreamingHttpResponse(body, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file_name)}"
    return answer


def _parts(titles: Sequence[str], rows: Iterable[Sequence[Any]], words: Sequence[Mapping[str, str]]) -> Iterator[bytes]:
    writer = csv.writer(_Echo())
    yield ("\ufeff" + str(writer.writerow(titles))).encode()
    told = iter(rows)
    while chunk := list(islice(told, _CHUNK)):
        shown = ([_cell(known.get(value, value)) for value, known in zip(row, words, strict=True)] for row in chunk)
        yield "".join(str(writer.writerow(cells)) for cells in shown).encode()


async def _handed_over(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The parts, each read in the thread that owns the database connection."""
    following = sync_to_async(lambda: next(parts, None))
    while (part := await following()) is not None:
        yield part


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is marked as text; numbers stay numbers."""
    if isinstance(value, datetime):
        return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return "" if value is None else value
