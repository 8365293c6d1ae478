"""Writes of routing: the decisions taken."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from django.db import transaction

from orders.lifecycle.rules import OrderToRoute
from orders.routing import statements
from orders.routing.rules import Decision
from orders.routing.statements import DecisionRow


@transaction.atomic(savepoint=False)
def save_decisions(*, decisions: Sequence[tuple[OrderToRoute, Decision, str, int]], at: datetime) -> None:
    """Keep (order, decision, fo_no when it was given to somebody else, round), each with all its candidates."""
    rows = [
        DecisionRow(
            order_id=order.order_id,
            fo_no=fo_no,
            round=number,
            policy=decision.policy[:80],
            ladder_step=decision.ladder_step,
            is_routable=decision.is_routable,
            cost_fen=decision.cost_fen if decision.is_routable else 0,
            runner_up_fen=decision.runner_up_fen if decision.is_routable else None,
            plan=orjson.dumps([package.as_dict() for package in decision.packages]).decode(),
            trace=orjson.dumps(decision.trace).decode(),
            terms=orjson.dumps(decision.on_terms()).decode(),
        )
        for order, decision, fo_no, number in decisions
    ]
    if rows:
        statements.insert_decisions(rows, at)
