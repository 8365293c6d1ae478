"""The SQL of saving decisions: one statement for one order and for a hundred, both databases."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection


class DecisionRow(NamedTuple):
    """A row of RoutingDecision; plan and trace are JSON text."""

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


def insert_decisions(rows: Sequence[DecisionRow], at: datetime) -> None:
    """Append decisions."""
    json = "%s::jsonb" if connection.vendor == "postgresql" else "%s"
    row = f"({', '.join(['%s'] * 8)}, {json}, {json}, %s)"
    decided_at = connection.ops.adapt_datetimefield_value(at)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO orders_routingdecision ({', '.join(DecisionRow._fields)}, decided_at) "
            f"VALUES {', '.join([row] * len(rows))}",
            [value for each in rows for value in (*each, decided_at)],
        )
