"""Orders that come together are routed together: who can go elsewhere makes way for who cannot."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from inventory.ledger import queries as ledger
from inventory.locks import actions as locks
from inventory.models import Level, Node, Reservation
from inventory.reservations import queries as promises
from inventory.reservations.rules import Shelf
from orders.dispatch import actions as dispatch
from orders.dispatch import queries as dispatch_queries
from orders.models import Offer, Order, RoutingDecision
from tests.make import make_dealer, make_level, make_node, make_order, make_sku
from tests.orders.dispatch_world import World, forget, make_world, subscribed

pytestmark = pytest.mark.django_db
FAR = "320509"


@pytest.fixture
def world(db: None) -> Iterator[World]:
    """In 吴中 two dealers have the sofa, in the other district only one of them, and no more than one."""
    with subscribed():
        made = make_world(on_hand=10)
        made.home.areas.create(division_code=FAR)
        second = make_dealer("D003")
        make_level(make_node(second, code="N-D003"), made.sofa, 5)
        Level.objects.filter(node=made.home_node).update(on_hand=1)
        forget()
        yield made


def route(*orders: Order, at: datetime) -> list[tuple[str, str]]:
    """Route these orders in one batch; returns (order, place) as they ended."""
    dispatch.route_orders(order_ids=[order.pk for order in orders], actor="test", at=at)
    return list(RoutingDecision.objects.order_by("order_id").values_list("order__order_no", "plan__0__node"))


def test_who_can_go_elsewhere_makes_way(world: World, at: datetime) -> None:
    near, far = make_order(world.sofa), make_order(world.sofa, division_code=FAR)
    assert route(near, far, at=at) == [(near.order_no, "N-D003"), (far.order_no, "N-D001")]
    assert list(RoutingDecision.objects.order_by("order_id").values_list("terms__reasons", flat=True)) == [
        [f"整批统筹：让位给订单 {far.order_no}，成本不变"],
        [f"整批统筹：请订单 {near.order_no} 让位，早 2 级阶梯，多花 12.00 元"],
    ]
    assert sorted(Offer.objects.values_list("node__code", flat=True)) == ["N-D001", "N-D003"]
    assert ledger.promise_drift() == []


def test_every_place_that_was_considered_stands_in_the_trace(world: World, at: datetime) -> None:
    near, far = make_order(world.sofa), make_order(world.sofa, division_code=FAR)
    route(near, far, at=at)
    for decision in RoutingDecision.objects.order_by("order_id"):
        [package] = decision.plan
        mine = next(entry for entry in decision.trace if entry["node"] == package["node"])
        assert decision.cost_fen == package["cost_fen"] == mine["cost_fen"] == sum(mine["breakdown"].values())
    assert [entry["node"] for entry in RoutingDecision.objects.get(order=near).trace] == ["N-D001", "N-D002", "N-D003", "N-HQ"]


def test_an_order_that_comes_alone_has_its_first_choice(world: World, at: datetime) -> None:
    near, far = make_order(world.sofa), make_order(world.sofa, division_code=FAR)
    route(near, at=at)
    assert route(far, at=at) == [(near.order_no, "N-D001"), (far.order_no, "N-HQ")]
    assert list(RoutingDecision.objects.values_list("terms__reasons", flat=True)) == [[], []]


def test_without_time_the_first_come_keep_what_they_have(world: World, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BATCH_SECONDS", 0)
    near, far = make_order(world.sofa), make_order(world.sofa, division_code=FAR)
    assert route(near, far, at=at) == [(near.order_no, "N-D001"), (far.order_no, "N-HQ")]


def test_who_loses_the_stock_to_another_worker_is_decided_again(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = dispatch_queries.shelf, []

    def outrun(**asked: object) -> Shelf:
        seen = real(**asked)
        if not calls:
            Level.objects.filter(node=world.home_node).update(on_hand=0)
        calls.append(1)
        return seen

    monkeypatch.setattr(dispatch_queries, "shelf", outrun)
    near, far = make_order(world.sofa), make_order(world.sofa, division_code=FAR)
    assert route(near, far, at=at) == [(near.order_no, "N-D003"), (far.order_no, "N-HQ")]
    assert (len(calls), RoutingDecision.objects.get(order=far).terms["reasons"]) == (2, [])
    assert ledger.promise_drift() == []


def test_a_livestreams_buyers_share_its_lock_and_others_do_not_see_it(world: World, at: datetime) -> None:
    lamp = make_sku("LAMP")
    make_level(Node.objects.get(code="N-D003"), lamp, 3)
    later = at.replace(hour=23)
    lock = locks.plan_lock(
        name="专场", claim="live:S1", sku_id=lamp.pk, mode="number", amount=2, starts_at=at, ends_at=later, actor="", at=at
    )
    locks.start_lock(lock_no=lock.lock_no, actor="", at=at)
    promises.forget()
    others = [make_order(lamp) for _ in range(2)]
    live = [make_order(lamp, live_session="S1") for _ in range(2)]
    dispatch.route_orders(order_ids=[order.pk for order in (*others, *live)], actor="test", at=at)
    states = dict(Order.objects.values_list("pk", "state"))
    assert [states[order.pk] for order in (*others, *live)] == ["routed", "unroutable", "routed", "routed"]
    assert Reservation.objects.filter(state="open", kind="offer", drawn=1).count() == 2
    assert ledger.promise_drift() == []


def test_combos_that_share_a_place_are_placed_once(world: World, at: datetime) -> None:
    lamp = make_sku("LAMP")
    for node in Node.objects.exclude(code="N-HQ"):
        make_level(node, lamp, 1)
    orders = [make_order(world.sofa, lamp) for _ in range(3)]
    route(*orders, at=at)
    assert Order.objects.filter(state="routed").count() == 3
    assert all(0 <= level.held <= level.on_hand for level in Level.objects.all())
    assert ledger.promise_drift() == []
