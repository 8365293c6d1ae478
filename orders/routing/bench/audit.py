"""A second opinion on a plan, from the orders, the table and the morning's stock alone.

Knows nothing of shelves, rankings or lots: it adds up again what the places were given.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from orders.lifecycle.rules import OrderToRoute
from orders.routing.batch import Placed
from orders.routing.market import OpenOrder, Placement
from orders.routing.plans import Stock
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


def cost_fen(order: OrderToRoute, placements: Sequence[Placement], table: RoutingTable) -> int:
    """Packages and split fees, without any price of scarcity."""
    total = table.terms_for(order).split_fee_fen * max(0, len(placements) - 1)
    for placement in placements:
        lines = [order.lines[index] for index in placement.line_indexes]
        weight_g = sum(line.weight_g * line.quantity for line in lines if line.is_counted)
        installs = tuple((line.install_skill, line.quantity) for line in lines if line.install_skill)
        total += _place(order, placement, table).cost_fen(weight_g, installs)
    return total


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
