"""The live board's SQL: one named function per statement, both databases, each by an index.

States are written out: a partial index serves only a condition the planner can read. All figures
of orders stop at one order id, so that they tell of the same moment and a client can see whether
an order it hears of is already counted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from oms_project.journal.statements import read_time

TickerRow = tuple[int, str, str, int, str, datetime]  # id, order_no, region, paid_fen, state, placed_at


def _when(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _rows(sql: str, *args: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return list(cursor.fetchall())


def newest_order() -> int:
    """The highest order id; 0 when there is no order."""
    return _rows("SELECT COALESCE(MAX(id), 0) FROM orders_order")[0][0]


def orders_since(since: datetime, newest: int) -> Sequence[tuple[str, str, str, str, int, int]]:
    """Counts and sums in one pass: (province, live session, anchor, state, orders, fen)."""
    return _rows(
        "SELECT SUBSTR(division_code, 1, 2), live_session, anchor, state, COUNT(*), SUM(paid_fen) FROM orders_order "
        "WHERE placed_at >= %s AND id <= %s GROUP BY 1, 2, 3, 4",
        _when(since),
        newest,
    )  # type: ignore[return-value]


def orders_by_minute(since: datetime, newest: int) -> dict[int, int]:
    """Orders per minute since 1970, cancelled ones left out."""
    is_postgres = connection.vendor == "postgresql"
    seconds = "EXTRACT(EPOCH FROM placed_at)" if is_postgres else "STRFTIME('%%s', SUBSTR(placed_at, 1, 19))"
    minute = f"FLOOR({seconds} / 60)::bigint" if is_postgres else f"CAST({seconds} AS INTEGER) / 60"
    return dict(
        _rows(
            f"SELECT {minute}, COUNT(*) FROM orders_order WHERE placed_at >= %s AND id <= %s AND state <> 'cancelled' GROUP BY 1",
            _when(since),
            newest,
        )
    )


def orders_waiting(newest: int) -> dict[str, int]:
    """Orders of any day that wait for routing or for a person, by state."""
    return dict(
        _rows(
            "SELECT state, COUNT(*) FROM orders_order "
            "WHERE state IN ('held', 'placed', 'unroutable') AND id <= %s GROUP BY state",
            newest,
        )
    )


def offers_pending() -> int:
    return _rows("SELECT COUNT(*) FROM orders_offer WHERE state = 'pending'")[0][0]


def offers_answered(since: datetime) -> dict[str, tuple[int, float]]:
    """Offers that ended since then, by state: (count, seconds from opening to answer in all)."""
    is_postgres = connection.vendor == "postgresql"
    waited = (
        "EXTRACT(EPOCH FROM answered_at - opened_at)"
        if is_postgres
        else "(JULIANDAY(answered_at) - JULIANDAY(opened_at)) * 86400"
    )
    rows = _rows(
        f"SELECT state, COUNT(*), SUM({waited}) FROM orders_offer WHERE answered_at >= %s GROUP BY state",
        _when(since),
    )
    return {state: (count, float(seconds)) for state, count, seconds in rows}


def latest_orders(newest: int, limit: int) -> list[TickerRow]:
    rows = _rows(
        "SELECT id, order_no, region, paid_fen, state, placed_at FROM orders_order "
        "WHERE id <= %s ORDER BY placed_at DESC, id DESC LIMIT %s",
        newest,
        limit,
    )
    return [(*row[:5], read_time(row[5])) for row in rows]  # type: ignore[misc]
