"""The pure parts of a replay: how a shop would go by distance, and the draws that decide who says no."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dealers.capacity.rules import DealerDay
from inventory.reservations.rules import Shelf
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.rules import NodeFacts, RoutingTable, Rung
from orders.routing.table import Area
from orders.rulesets.rules import FreightRate, OrderTerms, PromiseClass, RuleBook, ShipCalendar, Where
from orders.scarcity.rules import Scarcity
from orders.simulation.rules import Change, Due, Side, Stage, bursts, compared, nearest, replay

AT = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
HERE, LADDER = "320506", (Rung(1, "territory", 60, 2), Rung(2, "neighbour", 60, 2), Rung(3, "hq", 60, 1))
BOOK = RuleBook("一", default=OrderTerms(split_fee_fen=600), freight=(FreightRate(Where(), 1_000, km_fen=10, max_km=3_000),))
NEAR, FAR, HQ = 1, 2, 3


def table(book: RuleBook = BOOK, **more: Any) -> RoutingTable:
    nodes = [
        NodeFacts(NEAR, "NEAR", "近", "dealer", 11, HERE, 120.6, 31.3, skills=frozenset({"install"})),
        NodeFacts(FAR, "FAR", "远", "dealer", 12, HERE, 120.6, 32.3, skills=frozenset({"install"})),
        NodeFacts(HQ, "HQ", "总部", "hq", None, HERE, 120.6, 31.3),
    ]
    areas = [Area(11, HERE, True), Area(12, HERE, True)]
    return RoutingTable(nodes=nodes, areas=areas, book=book, centroids={HERE: (120.6, 31.3)}, answers={}, at=AT, **more)


def order(*lines: tuple[int, int], number: int = 1, **more: Any) -> OrderToRoute:
    """Lines are (SKU, quantity); SKU 0 is a service that takes no stock."""
    told = tuple(
        LineToRoute(index, sku, f"S{sku}", "物", quantity, 0, 0, sku != 0, "", "", 0)
        for index, (sku, quantity) in enumerate(lines)
    )
    return OrderToRoute(number, f"DD{number}", "doudian", "1", HERE, "", 0, AT, "", told, **more)


def stage(side: Side, stock: dict[tuple[int, int], int], **more: Any) -> Stage:
    told: dict[str, Any] = {"base": table(), "capacity": {}, "seed": 1, "has_refusals": False, "won": {}, **more}
    return Stage(side=side, opening=Shelf(stock), ladder_for=lambda channel: LADDER, **told)


def places(found: tuple[Any, ...]) -> list[tuple[str, tuple[int, ...]]]:
    return [(package.node, package.line_indexes) for package in found]


def test_each_line_comes_from_the_nearest_place_that_has_it_and_services_go_along() -> None:
    stock = {(NEAR, 1): 1, (FAR, 1): 5, (FAR, 2): 5}
    found, step = nearest(order((0, 1), (2, 1), (1, 1)), table(), stock, {}, LADDER)
    assert (places(found), step) == ([("FAR", (1,)), ("NEAR", (0, 2))], 1)
    assert places(nearest(order((0, 1), (2, 1)), table(), stock, {}, LADDER)[0]) == [("FAR", (0, 1))]
    assert nearest(order((1, 2)), table(), stock, {}, LADDER)[0][0].node == "FAR"
    assert nearest(order((1, 1)), table(), stock, {11: 0}, LADDER)[0][0].node == "FAR"
    assert nearest(order((1, 1)), table(), stock, {}, LADDER, frozenset({11, 12})) == ((), 0)


def test_headquarters_is_asked_on_its_rung_only() -> None:
    stock = {(HQ, 1): 9, (FAR, 1): 1}
    assert [nearest(order((1, n)), table(), stock, {}, LADDER)[1] for n in (1, 2, 10)] == [1, 3, 0]


def test_a_piece_that_was_refused_goes_to_one_place_whole() -> None:
    stock = {(NEAR, 1): 1, (FAR, 2): 1, (HQ, 1): 1, (HQ, 2): 1}
    assert places(nearest(order((1, 1), (2, 1)), table(), stock, {}, LADDER, is_whole=True)[0]) == [("HQ", (0, 1))]


@pytest.mark.parametrize("side", list(Side))
def test_stock_runs_out_in_the_order_of_time_and_comes_in_between(side: Side) -> None:
    stage_here = stage(side, {(NEAR, 1): 1})
    changes = [Change(AT + timedelta(hours=2), (NEAR, 1), 1)]
    found = [
        replay(stage_here, [Due(order((1, 1), number=n), AT + timedelta(hours=n))], changes)[0].is_filled for n in (0, 1, 2, 3)
    ]
    assert found == [True, False, True, False]


def test_a_lock_is_drawn_by_its_buyers_and_free_when_it_ends() -> None:
    opening = Shelf({(NEAR, 1): 0}, {"live:L": ("SK",)}, {"SK": {(NEAR, 1): 2}})
    made = stage(Side.LIVE, {})
    made.shelf, made.opening = opening, Shelf({}, opening.locks)
    ends = [Change(AT + timedelta(hours=2), (NEAR, 1), None, "SK")]
    buyers = [(0, ""), (1, "L"), (2, ""), (3, "")]
    dues = [Due(order((1, 1), number=n, live_session=live), AT + timedelta(hours=n)) for n, live in buyers]
    assert [replay(made, [due], ends)[0].is_filled for due in dues] == [False, True, True, False]


def test_a_dealer_takes_no_more_than_its_day() -> None:
    made = stage(Side.LIVE, {(NEAR, 1): 9, (FAR, 1): 9}, capacity={11: DealerDay(11, AT.date(), 1, 0, "1234567", 0, None)})
    dues = [Due(order((1, 1), number=n), AT + timedelta(hours=n)) for n in (0, 1, 24)]
    assert [replay(made, [due], ())[0].packages[0].node for due in dues] == ["NEAR", "FAR", "NEAR"]


def test_what_a_day_left_over_is_carried_on_within_bounds() -> None:
    made = stage(Side.LIVE, {(NEAR, 1): 99}, capacity={11: DealerDay(11, AT.date(), 4, 50, "1234567", 0, None)})
    seen = []
    for days, orders in ((0, 1), (1, 0), (2, 0)):
        made.advance(AT + timedelta(days=days), ())
        seen.append(made.remaining[11])
        for number in range(orders):
            replay(made, [Due(order((1, 1), number=number), AT + timedelta(days=days))], ())
    assert seen == [4, 6, 6]


def test_a_scarcity_price_chooses_and_is_not_paid() -> None:
    scarce = Scarcity({(NEAR, 1): 50_000})
    made = stage(Side.LIVE, {(NEAR, 1): 1, (FAR, 1): 1}, scarce=scarce)
    found = [replay(made, [Due(order((1, 1), number=n), AT + timedelta(hours=n))], ())[0] for n in (0, 1)]
    assert [each.packages[0].node for each in found] == ["FAR", "NEAR"]
    near_fen = next(each.base_fen for each in table().considered(HERE, "doudian") if each.node.code == "NEAR")
    assert found[1].cost_fen == found[1].packages[0].cost_fen == sum(found[1].packages[0].breakdown.values()) == near_fen


def test_draws_depend_on_the_seed_and_are_as_frequent_as_the_estimate() -> None:
    """A dealer nobody knows says yes 5 times in 7."""
    made = stage(Side.LIVE, {}, has_refusals=True)
    again, other = stage(Side.DRAFT, {}, has_refusals=True), stage(Side.LIVE, {}, has_refusals=True, seed=2)
    drawn = [[each.accepts(n, 11) for n in range(7_000)] for each in (made, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert 4_850 < sum(drawn[0]) < 5_150


def test_another_rule_set_is_compared_by_the_prices_in_force() -> None:
    cheap = RuleBook("二", default=OrderTerms(split_fee_fen=0), freight=(FreightRate(Where(), 1, max_km=3_000),))
    made = stage(Side.DRAFT, {(NEAR, 1): 1, (FAR, 2): 1}, base=table(cheap))
    [found] = replay(made, [Due(order((1, 1), (2, 1)), AT)], (), table())
    near_fen, far_fen = (each.base_fen for each in table().considered(HERE, "doudian") if each.node.code in ("NEAR", "FAR"))
    assert found.compared_fen == near_fen + far_fen + 600
    assert found.cost_fen < 2 * 2_000
    unpriced = table(RuleBook("三"))
    assert compared(order((1, 1)), found.packages[:1], unpriced, 77) == 77


def test_calendars_turn_with_the_days_of_the_replay() -> None:
    closed = ShipCalendar(Where(), weekdays="3")  # Wednesdays only
    book = RuleBook("四", default=OrderTerms(promise=PromiseClass(days=3)), freight=BOOK.freight, calendars=(closed,))
    made = stage(Side.LIVE, {(NEAR, 1): 9}, base=table(book))
    days = [replay(made, [Due(order((1, 1), number=n), AT + timedelta(days=n))], ())[0] for n in (0, 1, 6)]
    assert [found.packages[0].days for found in days] == [1, 7, 2]
    assert [found.is_on_time for found in days] == [True, False, True]


def test_orders_that_come_within_two_seconds_are_one_group_of_at_most_a_hundred() -> None:
    dues = [Due(order((1, 1), number=n), AT + timedelta(seconds=n)) for n in range(5)]
    assert [len(group) for group in bursts(dues)] == [3, 2]
    assert [len(group) for group in bursts([Due(order((1, 1)), AT)] * 250)] == [100, 100, 50]
    assert list(bursts([])) == []
