"""The terms by which offers are made, the stock they may promise, and the orders that nobody could serve."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from dealers.capacity import queries as capacity
from dealers.capacity.rules import DealerDay
from dealers.models import Dealer
from inventory.models import Node
from inventory.reservations.queries import shelf
from inventory.reservations.rules import Shelf
from orders.dispatch.models import LadderStep
from orders.dispatch.rules import LadderTerms, NodeTerms, choose_ladder
from orders.lifecycle.rules import OrderToRoute
from orders.offers.rules import DealerTerms
from orders.routing.rules import RoutingTable, Rung

_FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Roster:
    """Dealers, places and ladders as they were read at most five seconds ago."""

    read_at: float
    dealers: dict[int, DealerTerms]
    nodes: dict[int, NodeTerms]
    policies: tuple[LadderTerms, ...]


_kept: dict[str, Roster] = {}


def roster() -> Roster:
    """The terms of everybody who may be asked, from this process's memory while they are fresh."""
    kept = _kept.get("roster")
    if kept is None or time.monotonic() - kept.read_at > _FRESH_SECONDS:
        kept = _kept["roster"] = _read_roster()
    return kept


def forget() -> None:
    """Read everything anew at the next question."""
    _kept.clear()


def _read_roster() -> Roster:
    dealers = Dealer.objects.values_list("id", "code", "tier", "opens_at", "closes_at", "weekdays")
    nodes = Node.objects.values_list("id", "code", "dealer_id")
    steps: dict[int, tuple[LadderTerms, list[Rung]]] = {}
    active = LadderStep.objects.filter(policy__is_active=True).select_related("policy")
    for step in active.order_by("policy_id", "position"):
        _, rungs = steps.setdefault(step.policy_id, (LadderTerms(step.policy.channel, step.policy.priority, ()), []))
        rungs.append(Rung(step.position, step.target, step.seconds, step.max_offers))
    return Roster(
        read_at=time.monotonic(),
        dealers={row[0]: DealerTerms(*row) for row in dealers},
        nodes={row[0]: NodeTerms(*row) for row in nodes},
        policies=tuple(LadderTerms(terms.channel, terms.priority, tuple(rungs)) for terms, rungs in steps.values()),
    )


def ladder_for(channel: str) -> tuple[Rung, ...]:
    """The rungs by which orders of a channel are offered."""
    return choose_ladder(roster().policies, channel)


def stock_for(orders: Collection[OrderToRoute], table: RoutingTable, at: datetime) -> Shelf:
    """What may be promised now of the goods of these orders, wherever one of them may come from."""
    node_ids: set[int] = set()
    sku_ids: set[int] = set()
    for area in {(order.division_code, order.channel) for order in orders}:
        node_ids.update(table.candidates(*area))
    for order in orders:
        sku_ids.update(line.sku_id for line in order.lines if line.is_counted)
    claims = {claim for order in orders for claim in order.claims}
    return shelf(node_ids=node_ids, sku_ids=sku_ids, claims=claims, at=at)


def days_for(orders: Collection[OrderToRoute], table: RoutingTable, at: datetime) -> dict[int, DealerDay]:
    """What the dealers who may get one of these orders may still take today."""
    areas = {(order.division_code, order.channel) for order in orders}
    places = {roster().nodes.get(node_id) for area in areas for node_id in table.candidates(*area)}
    return capacity.days_of({place.dealer_id for place in places if place and place.dealer_id}, at)
