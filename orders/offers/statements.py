"""The SQL of offers: one named function per statement, the same on PostgreSQL and SQLite."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from oms_project.journal.statements import insert_of, read_time

_CLOSED = (
    " RETURNING id, offer_no, work_id, dealer_id, opened_at, "
    "(SELECT w.fo_no FROM orders_fulfillmentorder w WHERE w.id = work_id), "
    "(SELECT o.order_no FROM orders_fulfillmentorder w JOIN orders_order o ON o.id = w.order_id WHERE w.id = work_id), "
    "(SELECT o.division_code FROM orders_fulfillmentorder w JOIN orders_order o ON o.id = w.order_id WHERE w.id = work_id)"
)


class NewOffer(NamedTuple):
    """An offer about to be opened; `income` is JSON text."""

    offer_no: str
    work_id: int
    dealer_id: int
    node_id: int
    round: int
    ladder_step: int
    income_fen: int
    income: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ClosedOffer:
    """An offer that a statement has just closed."""

    offer_id: int
    offer_no: str
    work_id: int
    dealer_id: int
    opened_at: datetime
    fo_no: str
    order_no: str
    division_code: str


def _when(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _skip_locked() -> str:
    return " FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""


_AGAIN = (
    "ON CONFLICT (work_id, dealer_id) DO UPDATE SET offer_no = EXCLUDED.offer_no, node_id = EXCLUDED.node_id, "
    "round = EXCLUDED.round, ladder_step = EXCLUDED.ladder_step, state = 'pending', version = orders_offer.version + 1, "
    "income_fen = EXCLUDED.income_fen, income = EXCLUDED.income, opened_at = EXCLUDED.opened_at, "
    "expires_at = EXCLUDED.expires_at, answered_at = NULL, answered_by_id = NULL, decline_reason = '', note = '人工再派' "
)


_OFFER = {
    "offer_no": "text",
    "work_id": "bigint",
    "dealer_id": "bigint",
    "node_id": "bigint",
    "round": "smallint",
    "ladder_step": "smallint",
    "income_fen": "bigint",
    "income": "jsonb",
    "expires_at": "timestamptz",
    "opened_at": "timestamptz",
}


def insert_offers(offers: Sequence[NewOffer], opened_at: datetime, again: bool = False) -> dict[str, int]:
    """Open offers; offer_no → id. `again` reopens the offer of a dealer that was asked before, else that is an error."""
    rows = [(*offer, opened_at) for offer in offers]
    constants = {"state": "'pending'", "version": "1", "decline_reason": "''", "note": "''"}
    insert, values = insert_of("orders_offer", _OFFER, rows, constants)
    with connection.cursor() as cursor:
        cursor.execute(f"{insert} {_AGAIN if again else ''}RETURNING id, offer_no", values)
        return {offer_no: offer_id for offer_id, offer_no in cursor.fetchall()}


def expire_offers(at: datetime, limit: int) -> list[ClosedOffer]:
    """Close up to `limit` pending offers whose deadline is at or before `at`; rows others hold are skipped."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_offer SET state = 'expired', version = version + 1, answered_at = %s WHERE id IN (SELECT id "
            "FROM orders_offer WHERE state = 'pending' AND expires_at <= %s ORDER BY expires_at, id "
            f"LIMIT %s{_skip_locked()}){_CLOSED}",
            [_when(at), _when(at), limit],
        )
        return [_closed(row) for row in cursor.fetchall()]


def withdraw_offers(order_ids: Sequence[int], note: str, at: datetime) -> list[ClosedOffer]:
    """Withdraw every pending offer of these orders."""
    marks = ", ".join(["%s"] * len(order_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_offer SET state = 'withdrawn', version = version + 1, answered_at = %s, note = %s WHERE "
            "state = 'pending' AND work_id IN (SELECT w.id FROM orders_fulfillmentorder w "
            f"WHERE w.order_id IN ({marks})){_CLOSED}",
            [_when(at), note, *order_ids],
        )
        return [_closed(row) for row in cursor.fetchall()]


def withdraw_these(offer_ids: Sequence[int], note: str, at: datetime) -> list[ClosedOffer]:
    """Withdraw those of the offers that are pending."""
    marks = ", ".join(["%s"] * len(offer_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_offer SET state = 'withdrawn', version = version + 1, answered_at = %s, note = %s "
            f"WHERE state = 'pending' AND id IN ({marks}){_CLOSED}",
            [_when(at), note, *offer_ids],
        )
        return [_closed(row) for row in cursor.fetchall()]


def _closed(row: Sequence[Any]) -> ClosedOffer:
    offer_id, offer_no, work_id, dealer_id, opened_at, *names = row
    return ClosedOffer(offer_id, offer_no, work_id, dealer_id, read_time(opened_at), *names)
