"""Tables that leave as files: nothing in them runs, numbers stay numbers, and a long one needs no memory."""

import asyncio
import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.test import AsyncRequestFactory, RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook  # type: ignore[import-untyped]

from inventory.ledger.spreadsheet import cell, csv_file, xlsx_file

HERE, THERE = RequestFactory().get("/"), AsyncRequestFactory().get("/")
EVIL = ["=1+1", "+SUM(A1)", "-2+3+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1+1", "－1+1"]


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def sheet_of(data: bytes) -> list[tuple[Any, ...]]:
    return list(load_workbook(io.BytesIO(data)).active.iter_rows(values_only=True))


@pytest.mark.parametrize("text", EVIL)
def test_what_begins_like_a_formula_is_written_as_text_in_both_kinds_of_file(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert body(csv_file(HERE, "x", [text], [[text]])).decode().count(f"'{text}") == 2
    book = load_workbook(io.BytesIO(body(xlsx_file(HERE, "x", [text], [[text]])))).active
    assert [(row[0].data_type, row[0].value[0]) for row in book.iter_rows()] == [("s", "'")] * 2


@pytest.mark.parametrize("value", ["-5", "+3", "-1,000", "-1.50", "SOFA-1", "a=b", "", 5, -5, 2.5, True])
def test_numbers_and_plain_text_stay_as_they_are(value: Any) -> None:
    assert cell(value) == value
    assert type(cell(value)) is type(value)


@given(st.text())
def test_no_text_at_all_is_taken_for_a_formula(text: str) -> None:
    written = cell(text)
    assert not written.startswith(("=", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    assert written[:1] not in {"+", "-"} or float(written.replace(",", "")) is not None


def test_times_days_and_nothing_are_written_as_people_read_them() -> None:
    row = [datetime(2026, 11, 25, 4, tzinfo=UTC), date(2026, 12, 1), None, "a\x00b\x1fc"]
    assert [cell(value) for value in row] == ["2026-11-25 12:00:00", "2026-12-01", "", "abc"]
    assert sheet_of(body(xlsx_file(HERE, "x", ["时间", "日", "无", "字"], [row])))[1] == (
        "2026-11-25 12:00:00", "2026-12-01", None, "abc",
    )  # fmt: skip


def test_the_name_of_a_file_is_chinese_and_csv_is_known_as_utf8() -> None:
    answer = csv_file(HERE, "库存", ["在库"], [[1]])
    assert answer["Content-Disposition"] == "attachment; filename*=UTF-8''%E5%BA%93%E5%AD%98.csv"
    assert body(answer) == "\ufeff在库\r\n1\r\n".encode()


def test_either_kind_of_server_gets_the_file_in_parts() -> None:
    rows = [[number] for number in range(5_000)]
    plain = list(csv_file(HERE, "x", ["n"], iter(rows)).streaming_content)

    async def collected(answer: Any) -> list[bytes]:
        return [piece async for piece in answer.streaming_content]

    handed = asyncio.run(collected(csv_file(THERE, "x", ["n"], iter(rows))))
    assert len(plain) == len(handed) == 3
    assert b"".join(plain) == b"".join(handed) == "\ufeff".encode() + b"n\r\n" + b"".join(b"%d\r\n" % n for n in range(5_000))
    book = b"".join(asyncio.run(collected(xlsx_file(THERE, "x", ["n"], iter(rows)))))
    assert sheet_of(book)[-1] == (4_999,)


@pytest.mark.parametrize(("write", "few"), [(csv_file, 6_000), (xlsx_file, 1_000)])
def test_a_long_table_needs_no_more_memory_than_a_short_one(write: Any, few: int) -> None:
    def peak(count: int) -> int:
        rows: Iterator[list[Any]] = ([n, "商品名称" * 5, "x" * 50] for n in range(count))
        tracemalloc.start()
        for _ in write(HERE, "x", ["n", "名称", "备注"], rows).streaming_content:
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(4 * few) < peak(few) + 200_000
