"""The SQL of saving decisions: one statement for one order and for a hundred, both databases."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from oms_project.journal.statements import insert_of


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
    note: str


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
    "note": "text",
    "decided_at": "timestamptz",
}


def insert_decisions(rows: Sequence[DecisionRow], at: datetime) -> None:
    """Append decisions."""
    insert, values = insert_of("orders_routingdecision", _COLUMNS, [(*row, at) for row in rows])
    with connection.cursor() as cursor:
        cursor.execute(insert, values)
