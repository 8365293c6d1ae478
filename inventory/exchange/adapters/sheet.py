"""What every spreadsheet is to us: numbered rows of text, within bounds."""

from collections.abc import Iterator

from oms_project.refusal import Refusal

MOST_BYTES = 20 * 1024 * 1024
MOST_ROWS = 200_000
MOST_COLUMNS = 100
LONGEST_CELL = 500
LONGEST_ROW = 5_000  # characters of all cells; 2,000 rows are in memory at a time

Row = tuple[int, list[str]]  # the number that a spreadsheet program shows at its left, and the cells
Rows = Iterator[Row]


class Unreadable(Refusal):
    """The file is none that we can read; the message says what to do about it."""
