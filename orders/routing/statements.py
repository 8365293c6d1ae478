"""The SQL of routing: saving decisions, a hundred as one; the shares of the month; what has lain long. Both databases."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from oms_project.journal.statements import insert_of
from orders.rulesets.rules import AgeingCredit


class DecisionRow(NamedTuple):
    """A row of RoutingDecision; plan, trace and terms are JSON text."""

    order_id: int
    fo_no: str
    round: int
    policy: str
    ladder_step: int
    is_routable: bool
    cost_fen: int
    runner_up_fen: int | None
    plan: str
    trace: str
    terms: str


_COLUMNS = {
    "order_id": "bigint",
    "fo_no": "text",
    "round": "smallint",
    "policy": "text",
    "ladder_step": "smallint",
    "is_routable": "boolean",
    "cost_fen": "bigint",
    "runner_up_fen": "bigint",
    "plan": "jsonb",
    "trace": "jsonb",
    "terms": "jsonb",
    "decided_at": "timestamptz",
}


def insert_decisions(rows: Sequence[DecisionRow], at: datetime) -> None:
    """Append decisions."""
    insert, values = insert_of("orders_routingdecision", _COLUMNS, [(*row, at) for row in rows])
    with connection.cursor() as cursor:
        cursor.execute(insert, values)


def works_won(since: datetime) -> dict[int, int]:
    """How many offers each dealer accepted since then: one range of the index on the answer."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT dealer_id, COUNT(*) FROM orders_offer WHERE answered_at >= %s AND state = 'accepted' GROUP BY dealer_id",
            [_when(since)],
        )
        return dict(cursor.fetchall())


def lain_long(credits: Sequence[AgeingCredit], at: datetime) -> list[tuple[int, int, int]]:
    """(position of the credit, node id, SKU id) wherever a credit holds; one statement for all of them.

    Overstock: more on hand than the maximum of the level. Older than n days: more on hand than all
    that came in within n days, so that, first in first out, the oldest unit has lain there longer.
    A credit for both holds where either does.
    """
    parts: list[str] = []
    values: list[Any] = []
    for number, credit in enumerate(credits):
        holds = ["l.on_hand > 0"]
        values.append(number)
        if credit.category:
            holds.append("k.category = %s")
            values.append(credit.category)
        ways = ["l.max_stock > 0 AND l.on_hand > l.max_stock"] * credit.is_overstock
        if credit.older_than_days is not None:
            ways.append(_OLDER)
            values.append(_when(at - timedelta(days=credit.older_than_days)))
        holds.append(f"({' OR '.join(ways)})")
        parts.append(_LAIN.format(holds=" AND ".join(holds)))
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        return [(number, node_id, sku_id) for number, node_id, sku_id in cursor.fetchall()]


_LAIN = (
    "SELECT CAST(%s AS integer), l.node_id, l.sku_id FROM inventory_level l JOIN inventory_sku k ON k.id = l.sku_id WHERE {holds}"
)
_OLDER = (
    "l.on_hand > (SELECT COALESCE(SUM(m.quantity), 0) FROM inventory_movement m "
    "WHERE m.node_id = l.node_id AND m.sku_id = l.sku_id AND m.moved_at >= %s AND m.quantity > 0)"
)


def _when(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)
