"""The SQL of rebalancing: one named function per statement, the same on PostgreSQL and SQLite."""

from datetime import datetime
from typing import NamedTuple

from django.db import connection

from oms_project.journal.statements import read_time


class OpenRow(NamedTuple):
    """An offer (or none) of a piece of work of an order that is open: state is the offer's, work_state the work's."""

    order_id: int
    version: int
    moves: int
    work_id: int
    fo_no: str
    work_state: str
    node_id: int
    dealer_id: int | None
    work_version: int
    offer_id: int
    offer_version: int
    asked_id: int
    ladder_step: int
    round: int
    opened_at: datetime
    state: str


_PENDING = "f.state = 'pending' AND f.expires_at > %s"
_OPEN = (
    "WITH recent AS (SELECT o.id, o.version, o.moves FROM orders_order o WHERE o.state = 'routed' AND o.moves < %s "
    "AND o.id IN (SELECT w.order_id FROM orders_offer f JOIN orders_fulfillmentorder w ON w.id = f.work_id "
    f"WHERE {_PENDING}) AND NOT EXISTS (SELECT 1 FROM orders_fulfillmentorder w WHERE w.order_id = o.id "
    "AND w.state <> 'cancelled' AND (w.state <> 'offered' OR w.is_pinned OR NOT EXISTS (SELECT 1 FROM orders_offer f "
    f"WHERE f.work_id = w.id AND {_PENDING}))) ORDER BY o.placed_at DESC, o.id DESC LIMIT %s) "
    "SELECT r.id, r.version, r.moves, w.id, w.fo_no, w.state, w.node_id, w.dealer_id, w.version, f.id, f.version, "
    "f.dealer_id, f.ladder_step, f.round, f.opened_at, f.state FROM recent r JOIN orders_fulfillmentorder w ON w.order_id = r.id "
    "JOIN orders_offer f ON f.work_id = w.id ORDER BY r.id, w.id, f.id"
)


def read_open(at: datetime, limit: int, most_moves: int) -> list[OpenRow]:
    """All offers of the most recent orders whose work is all on offer, unanswered and not placed by hand."""
    moment = connection.ops.adapt_datetimefield_value(at)
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [most_moves, moment, moment, limit])
        return [row._replace(opened_at=read_time(row.opened_at)) for row in map(OpenRow._make, cursor.fetchall())]


def begin(at: datetime) -> int | None:
    """Begin a pass if none is running; its id."""
    moment = connection.ops.adapt_datetimefield_value(at)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_rebalancepass (started_at, is_running, looked, moved, dropped, saved_fen, took_ms) "
            "VALUES (%s, %s, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING RETURNING id",
            [moment, True],
        )
        row = cursor.fetchone()
        return row[0] if row else None
