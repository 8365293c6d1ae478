"""What can be promised for an address now, from where, by when, and if not, why: routing's own decision, written nowhere."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.utils import timezone

from dealers.capacity.rules import left_of
from dealers.divisions.queries import current_codes, gazetteer
from dealers.divisions.rules import parse
from inventory.arrivals import queries as arrivals
from inventory.models import Sku
from inventory.reservations import queries as reservations
from inventory.reservations.rules import Shelf
from oms_project.refusal import Refusal
from orders.catalogue import queries as catalogue
from orders.dispatch import queries as dispatch
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.promise.rules import MOST_LINES, MOST_UNITS, Asked, Promise, PromisedPackage, Reach, shortages
from orders.routing import queries as routing
from orders.routing.rules import Decision, RoutingTable, decide
from orders.scarcity import queries as scarcity


class CannotAsk(Refusal):
    """The question names something we do not know, or no sensible quantity."""


def promise(
    *, lines: Sequence[Asked], address: str, channel: str, at: datetime, shop: str = "", live_session: str = ""
) -> Promise:
    """Whether these goods can be promised to an address on a channel, as routing would place them.

    `address` is a six-digit division or text. Combos are taken apart, virtual goods never block,
    and units that paid orders wait for are not promised again. What is lacking may be promised for
    presale on the day that is told. At most eight statements while the terms are in memory. Raises
    CannotAsk, naming the line or the doubt about the address.
    """
    order = _as_order(lines, division_of(address, at), channel, shop, live_session, at)
    table = routing.routing_table(at)
    stock = dispatch.stock_for([order], table, at)
    scarce, ladder = scarcity.scarcity(at), dispatch.ladder_for(channel)
    left = left_of(dispatch.days_for([order], table, at).values())
    view = stock.view(order.claims)
    decision = decide(order, table, view, ladder=ladder, at=at, remaining=left, scarcity=scarce.units, work_prices=scarce.works)
    skus = _reach(order, table, decision, stock, at)
    lacking = shortages(skus)
    if not decision.is_routable or lacking:
        return Promise(False, None, (), skus, (*lacking, *(() if decision.is_routable else decision.reasons)))
    packages = _packages(order, decision, at)
    return Promise(True, max(package.by for package in packages), packages, skus, ())


def _as_order(
    lines: Sequence[Asked], division_code: str, channel: str, shop: str, live_session: str, at: datetime
) -> OrderToRoute:
    if not 1 <= len(lines) <= MOST_LINES:
        raise CannotAsk(f"请询问 1 到 {MOST_LINES} 行商品")
    for number, line in enumerate(lines, start=1):
        if not 1 <= line.quantity <= MOST_UNITS:
            raise CannotAsk(f"第 {number} 行：数量应为 1 到 {MOST_UNITS} 的整数")
    known = catalogue.parts_for({line.code for line in lines})
    for number, line in enumerate(lines, start=1):
        if line.code not in known:
            raise CannotAsk(f"第 {number} 行：没有在售商品 {line.code[:40]}")
    parts = [
        (part, line.quantity * part.quantity, str(sold)) for sold, line in enumerate(lines, start=1) for part in known[line.code]
    ]
    skus = Sku.objects.in_bulk({part.sku_id for part, _, _ in parts})
    wanted = tuple(line_of(number, skus[part.sku_id], units, sold) for number, (part, units, sold) in enumerate(parts))
    return OrderToRoute(0, "", channel, shop, division_code, "", 0, at, "", wanted, live_session=live_session)


def line_of(number: int, sku: Sku, quantity: int, sold: str) -> LineToRoute:
    """A SKU that nobody has bought yet as a line to route; `sold` is the sold line that it is a part of."""
    return LineToRoute(
        line_id=number,
        sku_id=sku.pk,
        sku_code=sku.code,
        name=sku.name,
        quantity=quantity,
        paid_fen=0,
        weight_g=sku.weight_g,
        is_counted=sku.is_counted,
        install_skill=sku.install_skill,
        category=sku.category,
        supply_price_fen=sku.supply_price_fen,
        bundle=sold,
    )


def division_of(address: str, at: datetime) -> str:
    """The county of a code or of a text; nobody guesses. Raises CannotAsk."""
    told = address.strip()
    if told.isascii() and told.isdigit():
        current = current_codes(told)
        if len(current) == 1 and current[0] in routing.routing_table(at).centroids:
            return current[0]
        raise CannotAsk(f"没有区划代码 {told[:12]}，请给出现行的六位区县代码")
    reading = parse(gazetteer(), told)
    if not reading.is_sure:
        raise CannotAsk(reading.explained(told[:60]))
    return reading.code


def _reach(order: OrderToRoute, table: RoutingTable, decision: Decision, stock: Shelf, at: datetime) -> tuple[Reach, ...]:
    """Per counted SKU, what the places that serve the address have free for this buyer, and when enough would come."""
    wanted: dict[int, int] = {}
    codes: dict[int, str] = {}
    for line in order.lines:
        if line.is_counted:
            codes[line.sku_id] = line.sku_code
            wanted[line.sku_id] = wanted.get(line.sku_id, 0) + line.quantity
    terms = table.loosened(decision.terms) if decision.relaxed else decision.terms
    places = table.candidates(order.division_code, order.channel, terms)
    view, awaited = stock.view(order.claims), reservations.awaited(sku_ids=list(wanted))
    reached = []
    for sku_id, units in wanted.items():
        free = [max(0, view.get((node_id, sku_id), 0)) for node_id in places]
        reached.append(Reach(codes[sku_id], units, sum(free), max(free, default=0), awaited.get(sku_id, 0)))
    lacking = {sku_id for sku_id, reach in zip(wanted, reached, strict=True) if not reach.is_enough}
    coming = arrivals.atp(sku_ids=lacking, by=None, at=at, node_ids=places) if lacking else {}
    for index, sku_id in enumerate(wanted):
        enough = (day for day, units in coming.get(sku_id, {}).items() if units >= wanted[sku_id])
        reached[index] = replace(reached[index], incoming_by=next(enough, None))
    return tuple(reached)


def _packages(order: OrderToRoute, decision: Decision, at: datetime) -> tuple[PromisedPackage, ...]:
    nodes = {entry["node"]: entry for entry in decision.trace}
    today = timezone.localdate(at)
    return tuple(
        PromisedPackage(
            node=package.node,
            name=nodes[package.node]["name"],
            kind=nodes[package.node]["kind"],
            days=package.days,
            by=today + timedelta(days=package.days),
            lines=tuple((order.lines[index].sku_code, order.lines[index].quantity) for index in package.line_indexes),
        )
        for package in decision.packages
    )
