"""CSV as it really comes: any of the encodings that Excel writes in China, even several in one file.

UTF-16 is known by its mark. Otherwise each line is UTF-8 or else GB18030; what neither can read stands as U+FFFD
in its row. A line of two-byte sequences only, such as 模 in GBK, is also formally UTF-8: beside lines that are surely not
UTF-8 it is read as GB18030.
"""

import codecs
import csv
import re
from collections.abc import Iterator

from inventory.exchange.adapters.sheet import MOST_COLUMNS, Rows, Unreadable

UNREADABLE = "\ufffd"
_DELIMITERS = ",\t;|"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_QUOTED = re.compile(r'"[^"]*"')
_LOOK_AT = 10  # lines, for the delimiter
_FIRST_LONG = "\u0800"  # from here on UTF-8 takes three bytes


def rows(body: bytes) -> Rows:
    """All rows that are not blank. Raises Unreadable where a quotation mark is never closed."""
    lines = _utf8_lines(body)
    texts = list(_decoded(lines[:_LOOK_AT], _is_utf8(body)))
    reader = csv.reader(_decoded(lines, _is_utf8(body)), delimiter=_delimiter(texts), strict=True)
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


def _utf8_lines(body: bytes) -> list[bytes]:
    """Physical lines with their ends, without a byte order mark; UTF-16 is turned into UTF-8."""
    if body.startswith(_UTF16):
        body = body.decode("utf-16", errors="replace").encode("utf-8", errors="replace")
    return body.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)


def _is_utf8(body: bytes) -> bool:
    if body.startswith(_UTF16):
        return True
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decoded(lines: list[bytes], is_utf8: bool) -> Iterator[str]:
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
