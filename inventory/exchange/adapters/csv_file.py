"""CSV as it really comes: any of the encodings that Excel writes in China, even several in one file.

UTF-16 is known by its mark. Otherwise each line is UTF-8 or else GB18030; what neither can read stands as U+FFFD
in its row. A line of two-byte sequences only, such as 模 in GBK, is also formally UTF-8: beside lines that are surely not
UTF-8 it is read as GB18030.
"""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from inventory.exchange.adapters.sheet import MOST_COLUMNS, Rows, Unreadable

UNREADABLE = "\ufffd"
_DELIMITERS = ",\t;|"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_QUOTED = re.compile(r'"[^"]*"')
_LOOK_AT = 10  # lines, for the delimiter
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_LONGEST_LINE = 1 << 20  # bytes; a line is taken apart as a whole
_CHECKED_AT_ONCE = 1 << 20
_FIRST_LONG = "\u0800"  # from here on UTF-8 takes three bytes


def rows(body: bytes) -> Rows:
    """All rows that are not blank. Raises Unreadable where a quotation mark is never closed, or a line has no end."""
    text = _as_utf8(body)
    is_utf8 = _is_utf8(text)
    delimiter = _delimiter(list(_decoded(islice(_lines(text), _LOOK_AT), is_utf8)))
    reader = csv.reader(_decoded(_lines(text), is_utf8), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "expected after" not in str(error):
                raise Unreadable(f"第 {number} 行的引号没有成对，其后的内容无法读取，请改正后重新上传") from error
            cells = [f"引号位置不对{UNREADABLE}"]
        if any(cell and not cell.isspace() for cell in cells):
            yield number, cells[:MOST_COLUMNS]


def _as_utf8(body: bytes) -> bytes:
    """The bytes without a byte order mark; UTF-16 is turned into UTF-8."""
    if body.startswith(_UTF16):
        body = body.decode("utf-16", errors="replace").encode("utf-8", errors="replace")
    return body.removeprefix(codecs.BOM_UTF8)


def _lines(text: bytes) -> Iterator[bytes]:
    """Physical lines with their ends, one at a time. Raises Unreadable for one that is too long."""
    for number, match in enumerate(_LINE.finditer(text), start=1):
        start, end = match.span()
        if end - start > _LONGEST_LINE:
            raise Unreadable(f"第 {number} 行超过 1 MB，无法读取，请检查换行和列数后重新上传")
        yield text[start:end]


def _is_utf8(text: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(text), _CHECKED_AT_ONCE):
            decoder.decode(text[start : start + _CHECKED_AT_ONCE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(lines: Iterable[bytes], is_utf8: bool) -> Iterator[str]:
    for line in lines:
        yield (line.decode("utf-8", errors="replace") if is_utf8 else _decode(line)).replace("\0", "")


def _decode(line: bytes) -> str:
    """A line of a file that is not UTF-8 as a whole."""
    if line.isascii():
        return line.decode("ascii")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("gb18030", errors="replace")
    if max(text) >= _FIRST_LONG:
        return text
    try:
        return line.decode("gb18030")
    except UnicodeDecodeError:
        return text


def _delimiter(lines: list[str]) -> str:
    """The sign that the first line with any of them has most often, outside of quotation marks."""
    for line in lines:
        if line.startswith("sep=") and line[4:5] in _DELIMITERS:
            return line[4]
        bare = _QUOTED.sub("", line)
        counts = {sign: bare.count(sign) for sign in _DELIMITERS}
        if any(counts.values()):
            return max(counts, key=lambda sign: counts[sign])
    return ","
