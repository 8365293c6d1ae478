"""What others may ask about offers, and the terms by which offers are made."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from dealers.models import Dealer, Staff
from inventory.models import Node
from inventory.reservations.queries import shelf
from inventory.reservations.rules import Shelf
from oms_project.refusal import NotFound
from orders.dispatch.models import LadderStep, Offer
from orders.dispatch.rules import DealerTerms, LadderTerms, NodeTerms, choose_ladder
from orders.lifecycle.models import FulfillmentLine, FulfillmentOrder, Order
from orders.lifecycle.rules import LineToRoute, OrderToRoute
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


def offers_for(staff: Staff) -> QuerySet[Offer]:
    """The offers a person may see: dealers' people their dealer's, HQ all; installers and finance none."""
    offers = Offer.objects.select_related("work__order", "dealer", "node")
    if staff.role in (Staff.Role.INSTALLER, Staff.Role.FINANCE):
        return offers.none()
    return offers if staff.is_hq else offers.filter(dealer_id=staff.dealer_id or 0)


def open_offers(staff: Staff) -> QuerySet[Offer]:
    """The offers that wait for an answer, the most urgent first."""
    return offers_for(staff).filter(state=Offer.State.PENDING).order_by("expires_at", "id")


def offer_for(*, staff: Staff, offer_no: str) -> Offer:
    """One offer, if the person may see it. Raises NotFound."""
    offer = offers_for(staff).filter(offer_no=offer_no).first()
    if offer is None:
        raise NotFound
    return offer


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was ever asked for a piece of work."""

    dealers: frozenset[int]
    per_rung: dict[int, int]
    rounds: int


def asked_before(work_ids: Collection[int]) -> dict[int, Asked]:
    """Everybody who ever had an offer of these pieces of work; all of them are excluded from the next."""
    found: dict[int, list[tuple[int, int, int]]] = {work_id: [] for work_id in work_ids}
    rows = Offer.objects.filter(work_id__in=work_ids).values_list("work_id", "dealer_id", "ladder_step", "round")
    for work_id, dealer_id, step, number in rows:
        found[work_id].append((dealer_id, step, number))
    return {
        work_id: Asked(
            dealers=frozenset(dealer_id for dealer_id, _, _ in offers),
            per_rung={rung: sum(step == rung for _, step, _ in offers) for rung in {step for _, step, _ in offers}},
            rounds=max((number for _, _, number in offers), default=0),
        )
        for work_id, offers in found.items()
    }


def unanswered_works(work_ids: Collection[int]) -> list[FulfillmentOrder]:
    """Those of the pieces of work that are on offer to nobody any more."""
    works = FulfillmentOrder.objects.filter(pk__in=work_ids, state=FulfillmentOrder.State.OFFERED)
    taken = Offer.objects.filter(work_id__in=work_ids, state__in=[Offer.State.PENDING, Offer.State.ACCEPTED])
    return list(works.exclude(pk__in=taken.values("work_id")).select_related("order").order_by("pk"))


def as_orders(works: Sequence[FulfillmentOrder]) -> dict[int, OrderToRoute]:
    """Pieces of work as routing sees them: their order with only the lines they cover."""
    lines: dict[int, list[LineToRoute]] = {work.pk: [] for work in works}
    covered = FulfillmentLine.objects.filter(work_id__in=lines).select_related("order_line", "sku")
    for line in covered.order_by("work_id", "order_line__position"):
        lines[line.work_id].append(
            LineToRoute(
                line_id=line.order_line_id,
                sku_id=line.sku_id,
                sku_code=line.sku.code,
                name=line.sku.name,
                quantity=line.quantity,
                paid_fen=line.order_line.paid_fen,
                weight_g=line.sku.weight_g,
                is_counted=line.sku.is_counted,
                install_skill=line.sku.install_skill,
                category=line.sku.category,
                supply_price_fen=line.sku.supply_price_fen,
            )
        )
    return {
        work.pk: OrderToRoute(
            order_id=work.order_id,
            order_no=work.order.order_no,
            channel=work.order.channel,
            shop=work.order.shop,
            division_code=work.order.division_code,
            region=work.order.region,
            paid_fen=work.paid_fen,
            paid_at=work.order.paid_at or work.order.placed_at,
            anchor=work.order.anchor,
            live_session=work.order.live_session,
            lines=tuple(lines[work.pk]),
        )
        for work in works
    }


def unroutable_orders(sku_ids: Collection[int] | None, limit: int) -> list[tuple[int, str, str]]:
    """Orders nobody could serve, oldest first, as (id, division code, channel); all, or those that need these SKUs."""
    orders = Order.objects.filter(state=Order.State.UNROUTABLE)
    if sku_ids is not None:
        orders = orders.filter(lines__sku_id__in=sku_ids).distinct()
    rows = orders.order_by("placed_at", "id").values_list("id", "division_code", "channel", "placed_at")[:limit]
    return [(order_id, division_code, channel) for order_id, division_code, channel, _ in rows]
