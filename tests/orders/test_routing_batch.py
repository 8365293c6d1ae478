"""Many orders at once: never infeasible, never dearer than first come, and priced as single decisions are."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing import batch
from orders.routing.bench import audit, world
from orders.routing.market import BatchTerms, OpenOrder, Placement, prepare
from orders.routing.rules import Area, NodeFacts, RoutingTable, decided_as
from orders.routing.shelves import Prices, fill
from orders.rulesets.rules import FreightRate, OrderTerms, RuleBook, Where

TIGHT = world.build(orders=150, nodes=60, rho=0.8, seed=3)
FREE = BatchTerms(rung_fen=0, is_whole=False)


@pytest.mark.parametrize("terms", [FREE, BatchTerms()])
@pytest.mark.parametrize("effort", [batch.FIRST_COME, batch.QUICK, batch.FULL])
def test_a_batch_is_feasible_and_no_dearer_than_first_come(terms: BatchTerms, effort: batch.Effort) -> None:
    done = batch.route_batch(TIGHT.orders, TIGHT.table, TIGHT.stock, remaining=TIGHT.remaining, terms=terms, effort=effort)
    assert audit.violations(TIGHT.orders, done.placed, TIGHT.table, TIGHT.stock, TIGHT.remaining) == []
    assert done.total_fen <= done.first_come_fen
    assert sum(move.gain_fen for move in done.moves) == done.first_come_fen - done.total_fen
    assert effort == batch.FIRST_COME or done.moves


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 900))
def test_stopping_at_any_point_leaves_a_feasible_plan(looks: int) -> None:
    left: Iterator[int] = iter(range(looks))
    done = batch.route_batch(
        TIGHT.orders, TIGHT.table, TIGHT.stock, remaining=TIGHT.remaining, terms=FREE,
        keeps_going=lambda: next(left, None) is not None,
    )  # fmt: skip
    assert audit.violations(TIGHT.orders, done.placed, TIGHT.table, TIGHT.stock, TIGHT.remaining) == []
    assert done.total_fen <= done.first_come_fen


def test_every_placement_costs_what_its_decision_explains() -> None:
    done = batch.route_batch(TIGHT.orders, TIGHT.table, TIGHT.stock, remaining=TIGHT.remaining, terms=FREE)
    for asked, placed in zip(TIGHT.orders, done.placed, strict=True):
        placements = {each.node_id: each.line_indexes for each in placed.placements}
        decision = decided_as(asked.order, TIGHT.table, TIGHT.stock, placements, ladder=asked.ladder)
        fee = TIGHT.table.book.default.split_fee_fen * max(0, len(decision.packages) - 1)
        assert placed.cost_fen == decision.cost_fen == fee + sum(sum(each.breakdown.values()) for each in decision.packages)


# Orders that have a place already.

AREA, HERE = "320506", (120.63, 31.26)


def shop(node_id: int, fen: int) -> NodeFacts:
    """A place of a dealer of its own, whose kind is named after what a package from it costs."""
    return NodeFacts(node_id, f"N{node_id}", f"N{node_id}", str(fen), node_id, AREA, *HERE, True, frozenset())


def table(*prices: int, split_fee_fen: int = 600) -> RoutingTable:
    """Places 1, 2 … where one package costs what is said."""
    return RoutingTable(
        nodes=[shop(node_id, fen) for node_id, fen in enumerate(prices, start=1)],
        areas=[Area(node_id, AREA, True) for node_id in range(1, len(prices) + 1)],
        book=RuleBook(
            default=OrderTerms(split_fee_fen=split_fee_fen, refusal_cost_fen=0),
            freight=tuple(FreightRate(Where(kind=str(fen)), fen, first_weight_g=10_000) for fen in prices),
        ),
        at=world.MIDNIGHT,
        centroids={AREA: HERE},
        answers={},
    )


def asked(number: int, *skus: int, at: int = 0, **fields: Any) -> OpenOrder:
    """An order of one unit of each SKU; `at` is the place that has all of it now."""
    lines = tuple(
        LineToRoute(index, sku, f"S{sku}", f"S{sku}", 1, 0, 1000, True, "", "", 0) for index, sku in enumerate(skus or (1,))
    )
    order = OrderToRoute(number, f"B{number}", world.LIVE, "1", AREA, "", 0, world.MIDNIGHT, "", lines)
    current = (Placement(at, tuple(range(len(lines)))),) if at else ()
    return OpenOrder(order, world.LADDER, **{"current": current, **fields})


def ends(done: batch.Batch) -> dict[int, list[tuple[int, tuple[int, ...]]]]:
    return {each.order_id: [(at.node_id, at.line_indexes) for at in each.placements] for each in done.placed}


def test_an_order_makes_way_for_one_to_which_it_matters_more() -> None:
    """Place 1 has one unit; 2 does not carry SKU 2, so the second order would pay for two packages."""
    stock = {(1, 1): 1, (1, 2): 1, (2, 1): 5, (3, 2): 5}
    done = batch.route_batch([asked(1), asked(2, 1, 2)], table(1000, 1100, 3000), stock, effort=batch.REDECIDE)
    assert ends(done) == {1: [(2, (0,))], 2: [(1, (0, 1))]}
    assert (done.first_come_fen, done.total_fen) == (1000 + 1100 + 1000 + 600, 1100 + 1000)
    assert [(move.order_id, move.gain_fen, move.displaced, move.made_way_for) for move in done.moves] == [
        (1, -100, (), 2), (2, 1700, (1,), None),
    ]  # fmt: skip
    assert [move.reason for move in done.moves] == ["让位给订单 2", "请订单 1 让位，稀缺价 1.00 元"]


@pytest.mark.parametrize(
    ("fixed", "moves"),
    [({"is_accepted": True}, False), ({"moves": 2}, False), ({"moves": 1}, True), ({}, True)],
)
def test_who_was_accepted_or_moved_twice_makes_way_for_nobody(fixed: dict[str, Any], moves: bool) -> None:
    stock = {(1, 2): 1, (2, 1): 5, (3, 2): 5}  # the last unit of SKU 1 at place 1 is with the first order
    done = batch.route_batch([asked(1, at=1, **fixed), asked(2, 1, 2)], table(1000, 1100, 3000), stock)
    if moves:
        assert ends(done) == {1: [(2, (0,))], 2: [(1, (0, 1))]}
    else:
        assert ends(done) == {2: [(2, (0,)), (1, (1,))]}
        assert not done.moves


def test_what_an_order_has_counts_as_taken_and_comes_back_when_it_moves() -> None:
    """The place of the first order is not in the stock any more; nobody else may have it unless the first goes."""
    known = table(1000, 1100)
    assert ends(batch.route_batch([asked(1, at=1), asked(2)], known, {(2, 1): 5})) == {1: [(1, (0,))], 2: [(2, (0,))]}
    done = batch.route_batch([asked(1, at=2), asked(2)], known, {(1, 1): 1, (2, 1): 0}, remaining={2: 0})
    assert ends(done) == {1: [(2, (0,))], 2: [(1, (0,))]}


def test_an_order_moves_to_a_better_place_that_came_free() -> None:
    done = batch.route_batch([asked(1, at=2)], table(1000, 2100), {(1, 1): 1})
    assert ends(done) == {1: [(1, (0,))]}
    assert [(move.before, move.after, move.gain_fen) for move in done.moves] == [
        ((Placement(2, (0,)),), (Placement(1, (0,)),), 1100)
    ]


def test_what_stands_where_it_could_not_be_put_today_is_left_alone() -> None:
    lost = asked(1, at=2, refused=frozenset({2}))
    assert batch.route_batch([lost], table(1000, 2100), {(1, 1): 1}) == batch.Batch((), (), 0, 0)


@pytest.mark.parametrize("effort", [batch.FIRST_COME, batch.FULL])
def test_lines_that_belong_together_come_from_one_place(effort: batch.Effort) -> None:
    stock = {(1, 1): 5, (1, 2): 5, (2, 2): 5, (2, 3): 5, (3, 1): 5, (3, 2): 5, (3, 3): 5}
    known = table(1000, 1000, 9000, split_fee_fen=100)
    free = batch.route_batch([asked(1, 1, 2, 3)], known, stock, effort=effort)
    assert free.total_fen == 2100
    for group, found in (
        ((0, 1), [(1, (0, 1)), (2, (2,))]),
        ((1, 2), [(1, (0,)), (2, (1, 2))]),
        ((0, 2), [(3, (0, 1, 2))]),  # line 1 goes along: one package is cheaper than two
        ((0, 1, 2), [(3, (0, 1, 2))]),
    ):
        done = batch.route_batch([asked(1, 1, 2, 3, together=(group,))], known, stock, effort=effort)
        assert ends(done) == {1: found}
    joined = batch.route_batch([asked(1, 1, 2, 3, together=((0, 1), (1, 2)))], known, stock, effort=effort)
    assert ends(joined) == {1: [(3, (0, 1, 2))]}
    del stock[3, 1]
    assert ends(batch.route_batch([asked(1, 1, 2, 3, together=((0, 2),))], known, stock, effort=effort)) == {1: []}


def test_lines_that_share_a_sku_rank_only_places_that_have_enough_for_both() -> None:
    (lot,) = prepare([asked(1, 1, 1)], table(1000, 1100), FREE)
    lot.rank(fill([lot], {(1, 1): 1, (2, 1): 2}, None, rung_fen=0))
    assert [[spot[2] for spot in ranking] for ranking in lot.rankings[0]] == [[], [1, 2], [1, 2], [2]]


@pytest.mark.parametrize("prices", [None, Prices({1: {1: 300}}, {2: 40})])
def test_a_day_of_redecisions_moves_nobody_three_times_and_breaks_nothing(prices: Prices | None) -> None:
    """Random marks on the open orders: accepted, moved before, kept together; then looked at again and again."""
    random = Random(5)
    stock, remaining = dict(TIGHT.stock), dict(TIGHT.remaining)
    orders = []
    for each in TIGHT.orders:
        together = ((0, 1),) if len(each.order.lines) > 1 and random.random() < 0.4 else ()
        orders.append(replace(each, together=together, moves=random.randrange(3)))
    first = batch.route_batch(orders, TIGHT.table, stock, remaining=remaining, terms=FREE, effort=batch.FIRST_COME, prices=prices)
    assert audit.violations(orders, first.placed, TIGHT.table, TIGHT.stock, TIGHT.remaining) == []
    standing = [
        replace(each, current=placed.placements, is_accepted=random.random() < 0.3)
        for each, placed in zip(orders, first.placed, strict=True)
    ]
    for each in standing:
        for placement in each.current:
            remaining[placement.node_id] = remaining.get(placement.node_id, 0) - 1
            for index in placement.line_indexes:
                line = each.order.lines[index]
                stock[placement.node_id, line.sku_id] -= line.quantity
    done = batch.route_batch(standing, TIGHT.table, stock, remaining=remaining, terms=FREE, effort=batch.FULL, prices=prices)
    assert audit.violations(standing, done.placed, TIGHT.table, TIGHT.stock, TIGHT.remaining) == []
    assert done.total_fen < done.first_come_fen
    moved = {move.order_id for move in done.moves}
    assert moved
    fixed = {each.order.order_id for each in standing if each.current and (each.is_accepted or each.moves >= 2)}
    assert fixed
    assert not fixed & {each.order_id for each in done.placed}
