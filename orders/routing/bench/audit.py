"""A second opinion on a plan, from the orders, the table and the morning's stock alone.

Knows nothing of shelves, rankings or lots: it adds up again what the places were given.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from orders.lifecycle.rules import OrderToRoute
from orders.routing.batch import Placed
from orders.routing.market import OpenOrder, Placement
from orders.routing.plans import Stock
from orders.routing.rules import decided_as
from orders.routing.shelves import Prices
from orders.routing.table import Candidate, RoutingTable


def violations(
    orders: Sequence[OpenOrder],
    placed: Iterable[Placed],
    table: RoutingTable,
    stock: Stock,
    remaining: Mapping[int, int],
) -> list[str]:
    """All that is wrong with a plan. `stock` and `remaining` as before any of these orders took anything.

    An order that is not among the placed keeps what it had.
    """
    found: list[str] = []
    ends = {each.order_id: each.placements for each in placed}
    taken: Counter[tuple[int, int]] = Counter()
    works: Counter[int] = Counter()
    for asked in orders:
        order_id = asked.order.order_id
        placements = ends.get(order_id, asked.current)
        if asked.is_accepted and set(placements) != set(asked.current):
            found.append(f"order {order_id} was accepted, but moved")
        if not asked.is_accepted and order_id in ends:
            found += [f"order {order_id}: {fault}" for fault in _faults(asked, placements, table)]
        for placement in placements:
            dealer_id = _place(asked.order, placement, table).node.dealer_id
            if dealer_id is not None:
                works[dealer_id] += 1
            for index in placement.line_indexes:
                line = asked.order.lines[index]
                if line.is_counted:
                    taken[placement.node_id, line.sku_id] += line.quantity
    found += [
        f"node {node_id} gives {units} of SKU {sku_id}, has {stock.get((node_id, sku_id), 0)}"
        for (node_id, sku_id), units in taken.items()
        if units > stock.get((node_id, sku_id), 0)
    ]
    found += [
        f"dealer {dealer_id} gets {count} works, takes {remaining[dealer_id]}"
        for dealer_id, count in works.items()
        if dealer_id in remaining and count > remaining[dealer_id]
    ]
    return found


def total_fen(orders: Sequence[OpenOrder], placed: Iterable[Placed], table: RoutingTable) -> int:
    """Packages, split fees and what is left over, without any price of scarcity."""
    total, by_id = 0, {asked.order.order_id: asked.order for asked in orders}
    for each in placed:
        order = by_id[each.order_id]
        total += table.terms_for(order).split_fee_fen * max(0, len(each.placements) - 1)
        total += table.terms_for(order).unfilled_fen * sum(order.lines[index].quantity for index in each.unfilled)
        for placement in each.placements:
            lines = [order.lines[index] for index in placement.line_indexes]
            weight_g = sum(line.weight_g * line.quantity for line in lines if line.is_counted)
            installs = tuple((line.install_skill, line.quantity) for line in lines if line.install_skill)
            total += _place(order, placement, table).cost_fen(weight_g, installs)
    return total


def unexplained(
    orders: Sequence[OpenOrder], placed: Iterable[Placed], table: RoutingTable, stock: Stock, prices: Prices | None
) -> list[str]:
    """The plans whose explanation does not sum to their cost: breakdowns and split fees, to the fen."""
    scarcity = {(node, sku): fen for sku, here in prices.units.items() for node, fen in here.items()} if prices else None
    by_id = {asked.order.order_id: asked for asked in orders}
    found = []
    for each in placed:
        asked = by_id[each.order_id]
        told = decided_as(
            asked.order,
            table,
            stock,
            {placement.node_id: placement.line_indexes for placement in each.placements},
            ladder=asked.ladder,
            refused=asked.refused,
            scarcity=scarcity,
            work_prices=prices.works if prices else None,
        )
        parts = sum(sum(package.breakdown.values()) for package in told.packages)
        parts += table.terms_for(asked.order).split_fee_fen * max(0, len(told.packages) - 1)
        if not parts == told.cost_fen == each.cost_fen:
            found.append(f"order {each.order_id} costs {each.cost_fen}, explained are {parts}")
        fences = [entry for entry in told.trace if "cost_fen" not in entry and not (entry.get("fence") and entry.get("text"))]
        found += [f"order {each.order_id}: {entry['node']} is out without a reason" for entry in fences]
    return found


def _place(order: OrderToRoute, placement: Placement, table: RoutingTable) -> Candidate:
    considered = table.considered(order.division_code, order.channel, table.terms_for(order))
    return next(place for place in considered if place.node.node_id == placement.node_id)


def _faults(asked: OpenOrder, placements: Sequence[Placement], table: RoutingTable) -> Iterable[str]:
    given = Counter(index for placement in placements for index in placement.line_indexes)
    if any(count > 1 for count in given.values()):
        yield "a line goes twice"
    if len({placement.node_id for placement in placements}) < len(placements):
        yield "a place packs twice"
    for group in asked.together:
        if len({placement.node_id for placement in placements if set(placement.line_indexes) & set(group)}) > 1:
            yield f"lines {group} are not together"
    for placement in placements:
        place = _place(asked.order, placement, table)
        if place.fence is not None:
            yield f"node {placement.node_id} is fenced: {place.fence}"
        if place.target not in {rung.target for rung in asked.ladder}:
            yield f"node {placement.node_id} is on no rung"
        if place.node.dealer_id in asked.refused:
            yield f"dealer {place.node.dealer_id} refused it"
        for index in placement.line_indexes:
            skill = asked.order.lines[index].install_skill
            if skill and place.node.dealer_id is not None and skill not in place.node.skills:
                yield f"node {placement.node_id} cannot do line {index}"
