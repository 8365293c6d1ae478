"""The orders that may still be moved."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from orders.dispatch import queries as dispatch
from orders.dispatch.rules import next_rung
from orders.lifecycle.queries import orders_to_route
from orders.lifecycle.rules import OrderToRoute
from orders.rebalance import statements
from orders.rebalance.rules import OpenCase, OpenWork
from orders.rebalance.statements import OpenRow
from orders.routing.batch import MOST_MOVES
from orders.work.models import FulfillmentLine


def open_cases(at: datetime, limit: int) -> list[OpenCase]:
    """The most recent orders that nobody has accepted, as they stand; three statements.

    Left out: orders with work that was accepted, is stuck or was placed by hand, that were moved as
    often as may be, and those whose lines do not each stand in one piece of work.
    """
    rows = statements.read_open(at, limit, MOST_MOVES)
    if not rows:
        return []
    work_ids = {row.work_id for row in rows if row.work_state == "offered"}
    lines: dict[int, set[tuple[int, int]]] = {work_id: set() for work_id in work_ids}
    covered = FulfillmentLine.objects.filter(work_id__in=work_ids)
    for work_id, line_id, quantity in covered.values_list("work_id", "order_line_id", "quantity"):
        lines[work_id].add((line_id, quantity))
    orders = {order.order_id: order for order in orders_to_route(sorted({row.order_id for row in rows}))}
    cases = []
    for order_id, group in groupby(rows, key=lambda row: row.order_id):
        case = _case(orders[order_id], list(group), lines) if order_id in orders else None
        if case is not None:
            cases.append(case)
    return cases


def _case(order: OrderToRoute, rows: Sequence[OpenRow], lines: dict[int, set[tuple[int, int]]]) -> OpenCase | None:
    wanted = [(line.line_id, line.quantity) for line in order.lines]
    works: list[OpenWork] = []
    shares: list[tuple[int, int]] = []
    for row in rows:
        if row.work_state == "offered" and row.state == "pending":
            share = lines[row.work_id]
            shares += share
            works.append(
                OpenWork(
                    work_id=row.work_id,
                    fo_no=row.fo_no,
                    node_id=row.node_id,
                    dealer_id=row.dealer_id,
                    version=row.work_version,
                    offer_id=row.offer_id,
                    offer_version=row.offer_version,
                    round=row.round,
                    opened_at=row.opened_at,
                    line_indexes=tuple(index for index, line in enumerate(wanted) if line in share),
                )
            )
    if sorted(shares) != sorted(wanted):
        return None
    closed = [row for row in rows if row.state != "pending"]
    per_rung = {step: sum(row.ladder_step == step for row in closed) for step in {row.ladder_step for row in closed}}
    return OpenCase(
        order=order,
        version=rows[0].version,
        moves=rows[0].moves,
        ladder=next_rung(dispatch.ladder_for(order.channel), per_rung),
        refused=frozenset(row.asked_id for row in closed),
        works=tuple(works),
    )
