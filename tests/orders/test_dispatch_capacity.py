"""Offers take a place of the dealer's day with the stock, and give it back with the stock."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.db import transaction

from dealers.capacity import actions as capacity
from dealers.models import DayLoad, DaySlot, Dealer
from oms_project import events
from oms_project.journal import actions as journal
from orders.dispatch import actions as dispatch
from orders.fulfilment import actions as fulfilment
from orders.models import FulfillmentOrder, Offer, Order, RoutingDecision
from orders.offers import actions as offers
from orders.placing import actions as placing
from orders.placing.actions import DayIsFull
from tests.make import make_order
from tests.orders.dispatch_world import World, make_world, subscribed

pytestmark = pytest.mark.django_db
Relay = Callable[[datetime], int]


@pytest.fixture
def world(db: None) -> Iterator[World]:
    with subscribed():
        yield make_world()


def route(world: World, at: datetime, count: int = 1) -> list[Order]:
    orders = [make_order(world.sofa, at=at) for _ in range(count)]
    dispatch.route_orders(order_ids=[order.pk for order in orders], actor="test", at=at)
    return orders


def loads(world: World) -> list[int]:
    """What 华南 and 华北 have taken today."""
    taken = dict(DayLoad.objects.values_list("dealer", "taken"))
    return [taken.get(dealer.pk, 0) for dealer in (world.home, world.neighbour)]


def told(name: str) -> list[dict]:
    return list(journal.Delivery.objects.filter(entry__name=name).values_list("entry__payload", flat=True))


def test_a_full_dealer_is_passed_over_and_the_trace_says_why(world: World, at: datetime) -> None:
    Dealer.objects.filter(pk=world.home.pk).update(capacity_per_day=2)
    route(world, at, 3)
    assert (loads(world), world.held()) == ([2, 1], [2, 1, 0])
    assert DaySlot.objects.count() == Offer.objects.filter(state="pending").count() == 3
    last = RoutingDecision.objects.order_by("-id").first()
    assert last is not None
    fences = {entry["node"]: entry.get("text") for entry in last.trace}
    assert fences["N-D001"] == "今日接单已满"


def test_the_next_day_has_places_again(world: World, at: datetime) -> None:
    Dealer.objects.update(capacity_per_day=1)
    route(world, at, 2)
    route(world, at + timedelta(days=1), 2)
    assert list(DayLoad.objects.order_by("day", "dealer").values_list("taken", flat=True)) == [1, 1, 1, 1]
    assert world.held() == [2, 2, 0]


@pytest.mark.parametrize("way", ["declined", "expired", "withdrawn"])
def test_whoever_says_no_gives_the_place_back_and_the_next_takes_one(
    world: World, relay_all: Relay, at: datetime, way: str
) -> None:
    route(world, at)
    offer = Offer.objects.get()
    assert loads(world) == [1, 0]
    if way == "declined":
        offers.decline_offer(offer_no=offer.offer_no, staff=world.owner, reason="busy", at=at)
    elif way == "expired":
        offers.expire_due(at=offer.expires_at)
    else:
        offers.withdraw_offer(offer_no=offer.offer_no, staff=world.operator, at=at)
    relay_all(offer.expires_at)
    assert (loads(world), world.held(), Offer.objects.get(state="pending").dealer) == ([0, 1], [0, 1, 0], world.neighbour)
    offers.expire_due(at=at + timedelta(hours=1))
    relay_all(at + timedelta(hours=1))
    assert (loads(world), world.held(), DaySlot.objects.count()) == ([0, 0], [0, 0, 1], 0)


def test_a_full_dealer_is_not_asked_next_either(world: World, relay_all: Relay, at: datetime) -> None:
    Dealer.objects.filter(pk=world.neighbour.pk).update(capacity_per_day=0)
    route(world, at)
    offers.decline_offer(offer_no=Offer.objects.get().offer_no, staff=world.owner, reason="busy", at=at)
    relay_all(at)
    assert (FulfillmentOrder.objects.get().node, Offer.objects.count(), loads(world)) == (world.hq_node, 1, [0, 0])


def test_accepted_work_keeps_its_place_until_its_cancel_is_confirmed(world: World, relay_all: Relay, at: datetime) -> None:
    (order,) = route(world, at)
    offers.accept_offer(offer_no=Offer.objects.get().offer_no, staff=world.owner, at=at)
    relay_all(at)
    assert loads(world) == [1, 0]
    close_at_source(order, at)
    relay_all(at)
    assert loads(world) == [1, 0]
    fulfilment.confirm_cancel(fo_no=FulfillmentOrder.objects.get().fo_no, staff=world.owner, at=at)
    assert (loads(world), world.held()) == ([0, 0], [0, 0, 0])


def close_at_source(order: Order, at: datetime) -> None:
    with transaction.atomic():
        journal.record(events.OrderClosedAtSource(order_id=order.pk, order_no=order.order_no), actor="test", at=at)


def test_a_cancel_before_the_answer_and_a_new_address_give_back(world: World, relay_all: Relay, at: datetime) -> None:
    (order,) = route(world, at)
    with transaction.atomic():
        journal.record(events.OrderAmended(order_id=order.pk, order_no=order.order_no, changes=["address"]), actor="", at=at)
    relay_all(at)
    assert (loads(world), DaySlot.objects.get().bill) == ([1, 0], f"{order.order_no}-2")
    close_at_source(order, at)
    relay_all(at)
    assert (loads(world), world.held(), DaySlot.objects.count()) == ([0, 0], [0, 0, 0], 0)


def test_an_operator_cannot_overfill_a_day(world: World, relay_all: Relay, at: datetime) -> None:
    Dealer.objects.filter(pk=world.neighbour.pk).update(capacity_per_day=1)
    route(world, at, 2)
    first, second = FulfillmentOrder.objects.order_by("pk")
    placing.place_by_hand(fo_no=first.fo_no, node_id=world.neighbour_node.pk, staff=world.operator, at=at)
    relay_all(at)
    assert (loads(world), world.held()) == ([1, 1], [1, 1, 0])
    count = journal.Delivery.objects.count()
    with pytest.raises(DayIsFull, match="今日接单已满（1 / 1）"):
        placing.place_by_hand(fo_no=second.fo_no, node_id=world.neighbour_node.pk, staff=world.operator, at=at)
    assert (loads(world), world.held(), journal.Delivery.objects.count()) == ([1, 1], [1, 1, 0], count)
    placing.place_by_hand(fo_no=second.fo_no, node_id=world.hq_node.pk, staff=world.operator, at=at)
    relay_all(at)
    assert (loads(world), world.held()) == ([0, 1], [0, 1, 1])


def test_a_faster_worker_at_a_dealer_makes_the_order_think_again(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dealer.objects.filter(pk=world.home.pk).update(capacity_per_day=1)
    real, calls = capacity.take, []

    def outrun(**asked: object) -> frozenset[str]:
        if not calls:
            real(slots={"OTHER": world.home.pk}, days=asked["days"], at=at)
        calls.append(asked["slots"])
        return real(**asked)

    monkeypatch.setattr(capacity, "take", outrun)
    route(world, at, 2)
    assert (len(calls), loads(world), world.held()) == (2, [1, 2], [0, 2, 0])


def test_three_lost_races_at_a_dealer_leave_the_order_waiting(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "take", lambda **asked: frozenset())
    (order,) = route(world, at)
    order.refresh_from_db()
    assert (order.state, world.held(), loads(world), FulfillmentOrder.objects.count()) == ("unroutable", [0, 0, 0], [0, 0], 0)
