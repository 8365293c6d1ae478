"""Writes of routing: the decisions taken, and which rules are in force."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from django.db import transaction

from dealers.models import Staff
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.refusal import NotFound
from orders.lifecycle.rules import OrderToRoute
from orders.routing import queries, statements
from orders.routing.models import RoutingPolicy
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


@transaction.atomic
def publish_policy(*, policy: RoutingPolicy, staff: Staff, at: datetime) -> RoutingPolicy:
    """Put a policy in force instead of the one before; orders that wait are tried again by event.

    Publishing what is in force changes nothing. Raises NotFound for everybody but administrators.
    """
    if staff.role != Staff.Role.ADMIN:
        raise NotFound
    locked = {each.pk: each for each in RoutingPolicy.objects.select_for_update().order_by("pk")}
    if policy.pk not in locked:
        raise NotFound
    if not locked[policy.pk].is_published:
        RoutingPolicy.objects.filter(is_published=True).update(is_published=False)
        RoutingPolicy.objects.filter(pk=policy.pk).update(is_published=True)
        tell_changed(what=f"policy-{policy.pk}", staff=staff, at=at)
    policy.refresh_from_db()
    return policy


@transaction.atomic
def tell_changed(*, what: str, staff: Staff, at: datetime) -> None:
    """Say that rules changed, so that every process reads them anew and waiting orders are tried again."""
    journal.record(events.RoutingChanged(what=what), actor=f"staff:{staff.pk}", at=at)
    queries.forget()
